// SPDX-License-Identifier: Apache-2.0
//! Threads that may be lost: who waits in the kernel for a file system without a server is not even ended by SIGKILL.
//!
//! The kernel keeps the open files of a killed process until its last thread is gone. So each of these threads has a
//! table of open files of its own (unshare(2), `CLONE_FILES`), with nothing of the daemon's in it: a lost one keeps no
//! lock and no socket from the next daemon. What they find is told by a thread that has the daemon's files, for
//! waking who waits for it takes one of them.

use nix::sched::{CloneFlags, unshare};
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// What is done in the end, with the daemon's files.
type Told = Box<dyn FnOnce() + Send>;
/// What is done without them.
type Work = Box<dyn FnOnce() -> Told + Send>;

/// Threads that are kept for the next look.
const KEPT: usize = 4;

/// The threads that have nothing to do.
static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());
/// The thread that tells.
static TELLER: OnceLock<Sender<Told>> = OnceLock::new();

fn idle() -> MutexGuard<'static, Vec<Sender<Work>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a thread do `work`, and another one tell its result; `None` when it panicked.
///
/// - Shapes: `work` may not use an open file of the daemon, nor hand one out.
///
/// # Errors
/// When no thread can be started.
pub fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    tell: impl FnOnce(Option<T>) + Send + 'static,
) -> io::Result<()> {
    let work: Work = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work)).ok();
        Box::new(move || tell(result))
    });
    let teller = teller()?;
    let waiting = idle().pop();
    let hand = waiting.map_or_else(|| start(teller), Ok)?;
    // The receiver lives as long as its thread, which waits for exactly this.
    hand.send(work).map_err(|_| io::Error::other("a thread for looks has ended"))
}

fn teller() -> io::Result<&'static Sender<Told>> {
    if let Some(teller) = TELLER.get() {
        return Ok(teller);
    }
    let (teller, queue) = channel::<Told>();
    let tell = move || queue.into_iter().for_each(|told| told());
    std::thread::Builder::new().name("look-teller".into()).spawn(tell)?;
    // Of two that were started at once, one has nobody who hands it anything, and ends.
    Ok(TELLER.get_or_init(|| teller))
}

fn start(teller: &'static Sender<Told>) -> io::Result<Sender<Work>> {
    let (hand, queue) = channel();
    let own = hand.clone();
    std::thread::Builder::new().name("look".into()).spawn(move || serve(&own, &queue, teller))?;
    Ok(hand)
}

fn serve(hand: &Sender<Work>, queue: &Receiver<Work>, teller: &Sender<Told>) {
    if let Err(error) = leave_files() {
        tracing::warn!(%error, "a look that hangs will keep this daemon's files open");
    }
    while let Ok(work) = queue.recv() {
        // The teller never ends.
        let _ = teller.send(work());
        let mut idle = idle();
        if idle.len() >= KEPT {
            return;
        }
        idle.push(hand.clone());
    }
}

/// Gives this thread a table of its own and closes all in it but the standard streams.
fn leave_files() -> io::Result<()> {
    unshare(CloneFlags::CLONE_FILES)?;
    let names = std::fs::read_dir("/proc/thread-self/fd")?.map(|entry| entry.map(|e| e.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let file = name.to_str().and_then(|n| n.parse::<RawFd>().ok());
        if let Some(file) = file.filter(|&file| file > 2) {
            // EBADF: that of the directory.
            let _ = nix::unistd::close(file);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_thread_that_is_lost_keeps_no_lock() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let lock = |file: &File| rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        let (release, held) = channel::<()>();
        let (tell, told) = channel();
        let first = File::open(file.path()).expect("open");
        lock(&first).expect("nobody has it");
        let wait = move || {
            tell.send(()).expect("the test listens");
            let _ = held.recv();
        };
        run(wait, |_| {}).expect("a thread");
        told.recv().expect("it runs");
        drop(first);
        lock(&File::open(file.path()).expect("open")).expect("the thread does not have it");
        drop(release);
    }
}
