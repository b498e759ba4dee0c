// SPDX-License-Identifier: Apache-2.0
//! Where a container's first process waits while the shim runs hooks in the runtime's namespaces.
//!
//! ```text
//! child  --[one byte]-----------> shim     everything is mounted, nothing pivoted
//! shim   --[its pid, 4 bytes]---> child    continue
//! ```
//! An end of file on either side means that the other side has failed; its own channel reports why.

use crate::failure::{self, Kind, Result};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;

/// The shim's end.
#[derive(Debug)]
pub struct ShimSide(OwnedFd);

/// The child's end.
#[derive(Debug)]
pub struct ChildSide(OwnedFd);

/// Makes a gate. Each side must close the other's end.
///
/// # Errors
/// The kernel's error.
pub fn pair() -> Result<(ShimSide, ChildSide)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| failure::kernel("make socket pair", "gate", e))?;
    Ok((ShimSide(ours), ChildSide(theirs)))
}

impl ShimSide {
    /// Waits for the child; false when it failed before the gate.
    pub fn wait_for_child(&self) -> bool {
        let mut byte = [0; 1];
        loop {
            match rustix::io::read(&self.0, &mut byte) {
                Err(Errno::INTR) => {}
                other => return other == Ok(1),
            }
        }
    }

    /// Lets the child continue and sends it its pid in the shim's namespace.
    ///
    /// # Errors
    /// The kernel's error; `EPIPE` when the child is gone.
    pub fn release(&self, pid: i32) -> Result<()> {
        rustix::io::write(&self.0, &pid.to_ne_bytes()).map(drop).map_err(|e| failure::kernel("open", "gate", e))
    }
}

impl ChildSide {
    /// Reports that this process is at the gate and waits until it opens; returns its pid in the shim's namespace.
    ///
    /// # Errors
    /// `Internal` when the shim is gone; otherwise the kernel's error.
    pub fn wait_for_release(&self) -> Result<i32> {
        rustix::io::write(&self.0, &[1]).map_err(|e| failure::kernel("write", "gate", e))?;
        let mut pid = [0; 4];
        loop {
            match rustix::io::read(&self.0, &mut pid) {
                Err(Errno::INTR) => {}
                Ok(4) => return Ok(i32::from_ne_bytes(pid)),
                _ => return Err(failure::refused(Kind::Internal, "wait", "gate", "the shim is gone")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_goes_on_with_its_pid() {
        let (shim, child) = pair().unwrap();
        let child = std::thread::spawn(move || child.wait_for_release());
        assert!(shim.wait_for_child());
        shim.release(77).unwrap();
        assert_eq!(child.join().unwrap(), Ok(77));
    }

    #[test]
    fn an_end_that_is_gone_lets_nobody_wait() {
        let (shim, child) = pair().unwrap();
        drop(child);
        assert!(!shim.wait_for_child());
        let (shim, child) = pair().unwrap();
        drop(shim);
        assert!(child.wait_for_release().is_err());
    }
}
