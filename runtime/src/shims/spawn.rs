// SPDX-License-Identifier: Apache-2.0
//! Starts `gorae-shim ROLE ID` with one end of a socket pair as its standard input.
//!
//! Standard input, because it needs no code between fork and exec: the standard library can then use
//! `posix_spawn`, which does not copy this process's page tables.

use crate::error::{Error, Kind, Result};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Knows the shim binary.
#[derive(Debug, Clone)]
pub struct Spawner {
    binary: Arc<PathBuf>,
}

/// Ends a shim that takes too long, without a risk of hitting another process. Dropping it does nothing.
#[derive(Debug)]
pub struct Killer(oneshot::Sender<()>);

impl Killer {
    /// Sends SIGKILL. A shim that hangs in the kernel dies when it comes out of there, before it does anything else.
    pub fn kill(self) {
        let _ = self.0.send(());
    }
}

async fn reap(mut child: Child, killed: oneshot::Receiver<()>) {
    tokio::select! {
        _ = child.wait() => return,
        Ok(()) = killed => {}
    }
    let _ = child.start_kill();
    let _ = child.wait().await;
}

impl Spawner {
    /// A spawner of that binary.
    pub fn new(binary: PathBuf) -> Self {
        Self { binary: Arc::new(binary) }
    }

    /// Starts a shim in `role` and returns our end of its socket, and what can kill it. The process is reaped in the
    /// background.
    ///
    /// # Errors
    /// `Unavailable` when the kernel has no process or descriptor for it, `Internal` otherwise.
    pub fn spawn(&self, role: &str, id: &str) -> Result<(UnixStream, Killer)> {
        let failed = |what: &str, e: std::io::Error| {
            let kind = match e.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => Kind::Unavailable,
                _ => Kind::Internal,
            };
            Error::new(kind, format!("{what} {} {role} {id}: {e}", self.binary.display()))
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|e| failed("socket pair for", e))?;
        ours.set_nonblocking(true).map_err(|e| failed("socket for", e))?;
        let child = Command::new(self.binary.as_path())
            .args([role, id])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .process_group(0)
            .spawn()
            .map_err(|e| failed("start", e))?;
        let (kill, killed) = oneshot::channel();
        tokio::spawn(reap(child, killed));
        Ok((UnixStream::from_std(ours).map_err(|e| failed("socket for", e))?, Killer(kill)))
    }
}
