// SPDX-License-Identifier: Apache-2.0
//! Starts `gorae-shim ROLE ID` with one end of a socket pair as its standard input.
//!
//! Passing it as standard input needs no code between fork and exec: the standard library can then use `posix_spawn`,
//! which does not copy this process's page tables.

use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Starts shims from one binary. Clones share it.
#[derive(Debug, Clone)]
pub struct Spawner {
    binary: Arc<Binary>,
}

#[derive(Debug)]
struct Binary {
    /// The path that `ps` shows.
    name: PathBuf,
    /// The path that is executed.
    program: PathBuf,
    /// The mount that `program` leads to.
    _mount: Option<OwnedFd>,
}

/// Kills a shim that takes too long, without any risk of hitting another process. Dropping it does nothing.
#[derive(Debug)]
pub struct Killer(oneshot::Sender<()>);

impl Killer {
    /// Sends SIGKILL. A shim that is blocked in the kernel dies when its system call returns, before it does anything else.
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
    /// Makes a spawner that resolves the path anew for each shim. Only what comes before [`Self::open`] uses it, and tests:
    /// a container could write to the file through its shim.
    pub fn by_path(path: PathBuf) -> Self {
        Self { binary: Arc::new(Binary { name: path.clone(), program: path, _mount: None }) }
    }

    /// Makes a spawner that executes the mounted file, under the name that it had.
    pub(crate) fn by_mount(name: PathBuf, mount: OwnedFd) -> Self {
        // The descriptor has the same number in the child, until exec closes it.
        let program = format!("/proc/self/fd/{}", mount.as_raw_fd()).into();
        Self { binary: Arc::new(Binary { name, program, _mount: Some(mount) }) }
    }

    /// Starts a shim in `role`. Returns our end of its socket and a handle that can kill it; the process is reaped in
    /// the background.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when the kernel has no process or descriptor for it, [`Error::Broken`] otherwise.
    pub fn spawn(&self, role: &str, id: &str) -> Result<(UnixStream, Killer)> {
        let failed = |what: &str, e: std::io::Error| {
            let text = format!("{what} {} {role} {id}: {e}", self.binary.name.display());
            match e.raw_os_error() {
                Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => Error::NoRoom(text),
                _ => Error::Broken(text),
            }
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|e| failed("socket pair for", e))?;
        ours.set_nonblocking(true).map_err(|e| failed("socket for", e))?;
        let mut command = Command::new(&self.binary.program);
        command
            .arg0(&self.binary.name)
            .args([role, id])
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        // A container's shim makes its own session, which a process group leader cannot do.
        if role != "container" {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| failed("start", e))?;
        let (kill, killed) = oneshot::channel();
        tokio::spawn(reap(child, killed));
        Ok((UnixStream::from_std(ours).map_err(|e| failed("socket for", e))?, Killer(kill)))
    }
}
