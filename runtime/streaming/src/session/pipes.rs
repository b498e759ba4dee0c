// SPDX-License-Identifier: Apache-2.0
//! The process's side of a session: its descriptors in the event loop.

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A pipe, a socket or a pty master in the event loop. The two directions of a terminal share one.
pub(super) type Descriptor = AsyncFd<OwnedFd>;

/// The descriptors of a process.
pub(super) struct Pipes {
    pub(super) stdin: Option<Arc<Descriptor>>,
    pub(super) stdout: Option<Arc<Descriptor>>,
    pub(super) stderr: Option<Arc<Descriptor>>,
}

impl Pipes {
    /// Puts stdin, stdout and stderr into the event loop, or the one terminal that stands for all of them.
    pub(super) fn register(stdio: [Option<OwnedFd>; 3], tty: Option<OwnedFd>) -> io::Result<Self> {
        let register = |fd: Option<OwnedFd>| fd.map(descriptor).transpose();
        if let Some(both) = register(tty)? {
            return Ok(Self { stdin: Some(both.clone()), stdout: Some(both), stderr: None });
        }
        let [stdin, stdout, stderr] = stdio;
        Ok(Self { stdin: register(stdin)?, stdout: register(stdout)?, stderr: register(stderr)? })
    }
}

#[expect(deprecated, reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not")]
fn descriptor(fd: OwnedFd) -> io::Result<Arc<Descriptor>> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    AsyncFd::new(fd).map(Arc::new)
}

/// Reads once into the spare room of `chunk`, 0 bytes at the end; `None` when there was nothing to read after all.
pub(super) fn read(ready: &mut AsyncFdReadyGuard<'_, OwnedFd>, chunk: &mut Vec<u8>) -> Option<io::Result<usize>> {
    let read = |fd: &Descriptor| {
        match rustix::io::retry_on_intr(|| rustix::io::read(fd.get_ref(), spare_capacity(chunk))) {
            // A pty master reports in this way that the other side is closed.
            Err(Errno::IO) => Ok(0),
            result => Ok(result?),
        }
    };
    ready.try_io(read).ok()
}

/// Writes all bytes, waiting for room as often as needed. `wrote` is called after each write.
pub(super) async fn write_all(fd: &Descriptor, mut bytes: &[u8], wrote: impl Fn()) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut ready = fd.writable().await?;
        let write = |fd: &Descriptor| Ok(rustix::io::retry_on_intr(|| rustix::io::write(fd.get_ref(), bytes))?);
        if let Ok(written) = ready.try_io(write) {
            bytes = &bytes[written?..];
            wrote();
        }
    }
    Ok(())
}
