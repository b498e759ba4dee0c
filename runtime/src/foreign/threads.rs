// SPDX-License-Identifier: Apache-2.0
//! Threads that may be lost: who waits in the kernel for a file system without a server is not even ended by SIGKILL.
//!
//! The kernel keeps the open files of a killed process until its last thread is gone. So each of these threads has a
//! table of open files of its own (unshare(2), `CLONE_FILES`), with nothing of the daemon's in it: a lost one keeps no
//! lock and no socket from the next daemon.

use nix::sched::{CloneFlags, unshare};
use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something to do; it may not use an open file of the daemon, nor hand one out.
pub type Work = Box<dyn FnOnce() + Send>;

/// Threads that are kept for the next look.
const KEPT: usize = 4;
/// What wakes a thread of the async runtime: a look ends with that.
const WAKER: &str = "anon_inode:[eventfd]";

/// The threads that have nothing to do.
static IDLE: Mutex<Vec<Sender<Work>>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Sender<Work>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a thread do the work.
///
/// # Errors
/// When no thread can be started.
pub fn run(work: Work) -> io::Result<()> {
    let (hand, queue) = idle().pop().map_or_else(start, |hand| Ok((hand, None)))?;
    // The receiver lives as long as its thread, which waits for exactly this.
    hand.send(work).map_err(|_| io::Error::other("a thread for looks has ended"))?;
    match queue {
        Some(queue) => {
            let name = std::thread::Builder::new().name("look".into());
            name.spawn(move || serve(&hand, &queue)).map(drop)
        }
        None => Ok(()),
    }
}

fn start() -> io::Result<(Sender<Work>, Option<Receiver<Work>>)> {
    let (hand, queue) = channel();
    Ok((hand, Some(queue)))
}

fn serve(hand: &Sender<Work>, queue: &Receiver<Work>) {
    if let Err(error) = leave_files() {
        tracing::warn!(%error, "a look that hangs will keep this daemon's files open");
    }
    while let Ok(work) = queue.recv() {
        work();
        let mut idle = idle();
        if idle.len() >= KEPT {
            return;
        }
        idle.push(hand.clone());
    }
}

/// Gives this thread a table of its own and closes all in it but the standard streams and what wakes others.
fn leave_files() -> io::Result<()> {
    unshare(CloneFlags::CLONE_FILES)?;
    let directory = Path::new("/proc/thread-self/fd");
    let names = std::fs::read_dir(directory)?.map(|entry| entry.map(|e| e.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let Some(file) = name.to_str().and_then(|n| n.parse::<RawFd>().ok()) else { continue };
        // One is gone already: that of the directory.
        let Ok(target) = std::fs::read_link(directory.join(&name)) else { continue };
        if file > 2 && target != Path::new(WAKER) {
            nix::unistd::close(file)?;
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
        run(Box::new(move || {
            tell.send(()).expect("the test listens");
            let _ = held.recv();
        }))
        .expect("a thread");
        told.recv().expect("it runs");
        drop(first);
        lock(&File::open(file.path()).expect("open")).expect("the thread does not have it");
        drop(release);
    }
}
