// SPDX-License-Identifier: Apache-2.0
//! Proofs that a process is in a state in which a dangerous system call is right.

use super::answer::check;
use super::title;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows that this process has one thread, so that no lock can be held by a thread that a copy does not have.
///
/// It cannot go to another thread, and nothing in this crate starts one. A child that was cloned has one thread, too.
#[derive(Debug, Clone, Copy)]
pub struct Single(PhantomData<*const ()>);

/// Shows that this process is a clone that never goes back to where it came from: it becomes a program, or exits.
///
/// The owners of its descriptors and of its memory are in the parent. In the child only the code that it runs itself uses
/// or drops anything, so it may close what it was not given.
#[derive(Debug, Clone, Copy)]
pub struct InChild(Single);

static BEGUN: AtomicBool = AtomicBool::new(false);

impl Single {
    /// The first thing that a program does: proves that it has one thread, finds what [`set_title`](super::set_title)
    /// needs, and closes every descriptor from 3 up. What its parent left open has no owner here yet.
    ///
    /// # Errors
    /// What the kernel answered; `EBUSY` with a second thread, and for a second call, when descriptors have owners.
    pub fn begin() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        if threads(&stat) != Some(1) || BEGUN.swap(true, Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        title::remember(&stat);
        // SAFETY: plain integers. This process has just begun, which the flag above says, so that no descriptor above
        // those of stdio has an owner in it.
        check(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) })?;
        Ok(Self(PhantomData))
    }

    /// For a test, whose harness has threads of its own.
    ///
    /// # Safety
    /// While it or a copy of it is used, no other thread of this process allocates or holds a lock.
    pub unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

impl InChild {
    /// For the side of a clone that is the new process.
    pub(super) fn proven_by(single: Single) -> Self {
        Self(single)
    }

    /// A clone has one thread.
    pub fn single(self) -> Single {
        self.0
    }
}

/// Field 20 of /proc/PID/stat.
fn threads(stat: &str) -> Option<u32> {
    // The name before the last ')' may hold anything; the state after it is field 3.
    stat.rsplit_once(") ")?.1.split_whitespace().nth(17)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Single, threads};

    #[test]
    fn threads_are_counted_whatever_the_process_is_called() {
        let fields = (4..=20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(threads(&format!("1 (a) b) S {fields} 21")), Some(20));
        assert_eq!(threads("1 (a) S 4 5"), None);
    }

    #[test]
    fn a_process_with_threads_has_no_proof() {
        // The harness runs this one beside its own thread.
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(Single::begin().unwrap_err().raw_os_error(), Some(libc::EBUSY)));
        });
    }
}
