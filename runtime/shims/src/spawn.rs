// SPDX-License-Identifier: Apache-2.0
//! Starts `gorae-shim ROLE ID` with one end of a socket pair as its standard input.
//!
//! Standard input, because it needs no code between fork and exec: the standard library can then use
//! `posix_spawn`, which does not copy this process's page tables.
//!
//! What is started is a read-only mount of the binary, attached nowhere: a container that gets at /proc/PID/exe of a
//! shim can neither write nor chmod the node's file there (CVE-2019-5736). The mount holds the file that was there
//! at this daemon's start, so that an upgrade gives a daemon no shim of another build.

use super::oneshot::mount_binary;
use crate::error::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Knows the shim binary.
#[derive(Debug, Clone)]
pub struct Spawner {
    binary: Arc<Binary>,
}

#[derive(Debug)]
struct Binary {
    /// What `ps` shows.
    name: PathBuf,
    /// What is executed.
    program: PathBuf,
    /// What `program` leads to.
    _mount: Option<OwnedFd>,
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
    /// A spawner of that binary as it is now.
    ///
    /// # Errors
    /// When it cannot be started, or not be mounted.
    pub async fn open(path: PathBuf) -> Result<Self> {
        let by_path = Binary { name: path.clone(), program: path.clone(), _mount: None };
        let mount = mount_binary(&Self { binary: Arc::new(by_path) }).await;
        let hint = || format!("try {}; install the gorae-shim of this goraed's build", path.display());
        let mount = mount.map_err(|e| e.during(hint()))?;
        // The descriptor's number is the same in the child until it executes, which closes it.
        let program = format!("/proc/self/fd/{}", mount.as_raw_fd()).into();
        Ok(Self { binary: Arc::new(Binary { name: path, program, _mount: Some(mount) }) })
    }

    /// Starts a shim in `role` and returns our end of its socket, and what can kill it. The process is reaped in the
    /// background.
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
        // A container's shim makes a session of its own, which the leader of a group cannot.
        if role != "container" {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|e| failed("start", e))?;
        let (kill, killed) = oneshot::channel();
        tokio::spawn(reap(child, killed));
        Ok((UnixStream::from_std(ours).map_err(|e| failed("socket for", e))?, Killer(kill)))
    }
}
