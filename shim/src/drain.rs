// SPDX-License-Identifier: Apache-2.0
//! The reading end of another program's output, of which a bounded part is kept.

use crate::failure::{self, Result};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most that is read at once, so that a program that writes as fast cannot keep its reader here: a pipe's capacity.
const AT_ONCE: usize = 64 << 10;

/// Which part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last bytes.
    Last(usize),
    /// The first bytes; more are a flood.
    First(usize),
}

/// The reading end, with what was kept.
#[derive(Debug)]
pub struct Drain {
    pipe: OwnedFd,
    keep: Keep,
    kept: Vec<u8>,
    is_open: bool,
    flooded: bool,
}

impl Drain {
    /// Makes a pipe; the second value is the program's end, which blocks, as programs expect.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(keep: Keep) -> Result<(Self, OwnedFd)> {
        let fail = |errno: Errno| failure::kernel("make pipe", "for a program's output", errno);
        let (pipe, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(fail)?;
        rustix::io::ioctl_fionbio(&theirs, false).map_err(fail)?;
        Ok((Self { pipe, keep, kept: Vec::new(), is_open: true, flooded: false }, theirs))
    }

    /// The descriptor to wait for; `None` after the end of the output.
    pub fn waiting(&self) -> Option<BorrowedFd<'_>> {
        self.is_open.then(|| self.pipe.as_fd())
    }

    /// Whether there was more than is kept of the first bytes.
    pub fn flooded(&self) -> bool {
        self.flooded
    }

    /// Takes what is there, without waiting.
    pub fn take(&mut self) {
        let mut chunk = [0; 4096];
        for _ in 0..AT_ONCE / chunk.len() {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(n) => self.add(&chunk[..n]),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self.keep {
            Keep::Last(most) => {
                self.kept.extend_from_slice(bytes);
                let old = self.kept.len().saturating_sub(most);
                self.kept.drain(..old);
            }
            Keep::First(most) => {
                let room = most - self.kept.len();
                self.flooded |= bytes.len() > room;
                self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }

    /// What was kept.
    pub fn into_kept(self) -> Vec<u8> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(keep: Keep, written: &[u8]) -> (Vec<u8>, bool) {
        let (mut drain, theirs) = Drain::new(keep).unwrap();
        assert_eq!(rustix::io::write(&theirs, written), Ok(written.len()));
        drain.take();
        assert!(drain.waiting().is_some());
        drop(theirs);
        drain.take();
        assert!(drain.waiting().is_none());
        let flooded = drain.flooded();
        (drain.into_kept(), flooded)
    }

    #[test]
    fn the_asked_part_is_kept() {
        assert_eq!(drained(Keep::Last(3), b"abcde"), (b"cde".to_vec(), false));
        assert_eq!(drained(Keep::First(3), b"abcde"), (b"abc".to_vec(), true));
        assert_eq!(drained(Keep::First(5), b"abcde"), (b"abcde".to_vec(), false));
    }
}
