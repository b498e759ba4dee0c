// SPDX-License-Identifier: Apache-2.0
//! Proofs that a process is in a state in which a dangerous system call is sound.

use super::answer::check;
use super::title;
use gorae_kernel::process::Stat;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

/// Proves that this process has one thread, so that no lock can be held by a thread that is missing in a copy of it.
///
/// It cannot move to another thread, and nothing in this crate starts one. A cloned child has one thread as well.
#[derive(Debug, Clone, Copy)]
pub struct Single(PhantomData<*const ()>);

/// Proves that this process is a clone that never returns to its parent's code: it becomes a program, or exits.
///
/// The owners of its descriptors and of its memory are in the parent. In the child, only the code that it runs itself uses
/// or drops anything, so it may close what it was not given.
#[derive(Debug, Clone, Copy)]
pub struct InChild(Single);

static BEGUN: AtomicBool = AtomicBool::new(false);

impl Single {
    /// Must be the first call of a program: proves that it has one thread, finds what [`set_title`](super::set_title)
    /// needs, and closes every descriptor from 3 up. What its parent left open has no owner here yet.
    ///
    /// # Errors
    /// The kernel's error; `EBUSY` with a second thread, and for a second call, because descriptors then have owners.
    pub fn begin() -> io::Result<Self> {
        let stat = Stat::own()?;
        if stat.threads() != Some(1) || BEGUN.swap(true, Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        title::remember(&stat);
        // SAFETY: plain integers. The flag above shows that this process has just started, so no descriptor above those of
        // stdio has an owner in it.
        check(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) })?;
        Ok(Self(PhantomData))
    }

    /// Makes a proof without a check, for tests, whose harness has threads of its own.
    ///
    /// # Safety
    /// While it or a copy of it is used, no other thread of this process allocates or holds a lock.
    pub unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

impl InChild {
    /// Makes the proof for the new process of a clone.
    pub(super) fn proven_by(single: Single) -> Self {
        Self(single)
    }

    /// The proof that this process has one thread, as every clone does.
    pub fn single(self) -> Single {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Single;

    #[test]
    fn a_process_with_threads_has_no_proof() {
        // The harness runs this test in addition to its own thread.
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(Single::begin().unwrap_err().raw_os_error(), Some(libc::EBUSY)));
        });
    }
}
