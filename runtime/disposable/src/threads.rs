// SPDX-License-Identifier: Apache-2.0
//! Disposable threads: a thread that is blocked in the kernel on a dead file server cannot be killed, not even by SIGKILL.
//!
//! The kernel keeps the descriptors of a killed process until its last thread has exited. So each of these threads has its
//! own descriptor table (unshare(2), `CLONE_FILES`) with nothing of the daemon's in it. A lost thread then keeps no lock
//! and no socket from the next daemon. Results are delivered by a helper thread that shares the daemon's descriptors,
//! because waking the async waiter writes to one of them.

use super::plain::PlainData;
use nix::sched::{CloneFlags, unshare};
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Delivers a result, on the thread that shares the daemon's descriptors.
type Delivery = Box<dyn FnOnce() + Send>;
/// Finds the result, on a disposable thread.
type Work = Box<dyn FnOnce() -> Delivery + Send>;

/// How many idle threads are kept for the next probe.
const KEPT: usize = 4;

/// The threads that have nothing to do.
static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());
/// The thread that delivers results.
static DELIVERER: OnceLock<Sender<Delivery>> = OnceLock::new();

fn idle() -> MutexGuard<'static, Vec<Sender<Work>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on a disposable thread, and `deliver` with its result on another one; `None` when it panicked.
///
/// - Shapes: a function and plain data, so that no descriptor of the daemon gets there or comes back. `deliver` is only
///   passed through.
///
/// # Errors
/// When no thread can be started.
pub fn run<I: PlainData, T: PlainData>(
    input: I,
    work: fn(I) -> T,
    deliver: impl FnOnce(Option<T>) + Send + 'static,
) -> io::Result<()> {
    let work: Work = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(|| work(input))).ok();
        Box::new(move || deliver(result))
    });
    let deliverer = deliverer()?;
    let waiting = idle().pop();
    let hand = waiting.map_or_else(|| start(deliverer), Ok)?;
    // The receiver lives as long as its thread, which waits for exactly this.
    hand.send(work).map_err(|_| io::Error::other("a disposable thread has ended"))
}

fn deliverer() -> io::Result<&'static Sender<Delivery>> {
    if let Some(deliverer) = DELIVERER.get() {
        return Ok(deliverer);
    }
    let (deliverer, queue) = channel::<Delivery>();
    let deliver = move || queue.into_iter().for_each(|delivery| delivery());
    std::thread::Builder::new().name("probe-results".into()).spawn(deliver)?;
    // If two were started at the same time, one of them never gets any work and exits.
    Ok(DELIVERER.get_or_init(|| deliverer))
}

fn start(deliverer: &'static Sender<Delivery>) -> io::Result<Sender<Work>> {
    let (hand, queue) = channel();
    let own = hand.clone();
    std::thread::Builder::new().name("probe".into()).spawn(move || serve(&own, &queue, deliverer))?;
    Ok(hand)
}

fn serve(hand: &Sender<Work>, queue: &Receiver<Work>, deliverer: &Sender<Delivery>) {
    if let Err(error) = leave_descriptors() {
        tracing::warn!(%error, "a hung probe will keep this daemon's descriptors open");
    }
    while let Ok(work) = queue.recv() {
        // The delivering thread never exits.
        let _ = deliverer.send(work());
        let mut idle = idle();
        if idle.len() >= KEPT {
            return;
        }
        idle.push(hand.clone());
    }
}

/// Gives this thread its own descriptor table and closes everything in it except the standard streams.
fn leave_descriptors() -> io::Result<()> {
    unshare(CloneFlags::CLONE_FILES)?;
    let names = std::fs::read_dir("/proc/thread-self/fd")?.map(|entry| entry.map(|e| e.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let file = name.to_str().and_then(|n| n.parse::<RawFd>().ok());
        if let Some(file) = file.filter(|&file| file > 2) {
            // EBADF: this was the descriptor of the directory listing.
            let _ = nix::unistd::close(file);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// Plain: a channel of the standard library has no descriptor.
    struct Wait {
        begun: Sender<()>,
        held: Receiver<()>,
    }

    impl PlainData for Wait {}

    #[test]
    fn a_thread_that_is_lost_keeps_no_lock() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let lock = |file: &File| rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        let (release, held) = channel::<()>();
        let (begun, begins) = channel();
        let first = File::open(file.path()).expect("open");
        lock(&first).expect("nobody has it");
        let wait = |wait: Wait| {
            wait.begun.send(()).expect("the test listens");
            let _ = wait.held.recv();
        };
        run(Wait { begun, held }, wait, |_| {}).expect("a thread");
        begins.recv().expect("it runs");
        drop(first);
        lock(&File::open(file.path()).expect("open")).expect("the thread does not have it");
        drop(release);
    }
}
