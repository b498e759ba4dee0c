// SPDX-License-Identifier: Apache-2.0
//! The runtime that is measured: one at a socket, or goraed started here with a registry beside it.

use anyhow::{Context, Result, ensure};
use gorae_proto::cri::VersionRequest;
use gorae_tests::Cri;
use gorae_tests::daemon::Daemon;
use gorae_tests::place;
use gorae_tests::registry::Registry;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);

/// A runtime with its clients.
pub struct Target {
    cri: Cri,
    daemon: u32,
    own: Option<Own>,
}

/// goraed as this program started it.
struct Own {
    child: Child,
    log: PathBuf,
    _registry: Registry,
    _home: tempfile::TempDir,
}

impl Target {
    pub async fn find(socket: Option<&str>) -> Result<Self> {
        let (path, own) = match socket {
            Some(socket) => (PathBuf::from(socket.strip_prefix("unix://").unwrap_or(socket)), None),
            None => start().map(|(path, own)| (path, Some(own)))?,
        };
        let cri = Cri::new(&path);
        let up = cri.wait(START).await;
        up.with_context(|| own.as_ref().map(Own::last_words).unwrap_or_default())?;
        let daemon = owner(&path).await.context("the daemon's process id")?;
        Ok(Self { cri, daemon, own })
    }

    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// Whether it was started here.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Process id of the daemon.
    pub fn daemon(&self) -> u32 {
        self.daemon
    }

    /// Name and version.
    pub async fn version(&self) -> Result<(String, String)> {
        let version = self.cri.runtime().version(VersionRequest::default()).await?.into_inner();
        Ok((version.runtime_name, version.runtime_version))
    }

    pub async fn pull(&self, image: &str) -> Result<()> {
        if self.cri.image(image).await?.is_none() {
            self.cri.pull(image).await?;
        }
        Ok(())
    }

    /// Ends what was started here.
    pub fn end(self) -> Result<()> {
        let Some(mut own) = self.own else { return Ok(()) };
        let pid = own.child.id().to_string();
        ensure!(Command::new("kill").arg(&pid).status()?.success(), "kill {pid}");
        let begun = std::time::Instant::now();
        while own.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < END, "goraed does not end: {}", own.last_words());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Own {
    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        format!("goraed said:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The daemon of the harness, but with the log level of production.
fn start() -> Result<(PathBuf, Own)> {
    place::assert_own_namespaces();
    let registry = Registry::with_own_images()?;
    let home = tempfile::Builder::new().prefix("gorae-bench-").tempdir()?;
    let daemon = Daemon::configure(home.path(), registry.address(), "")?;
    let log = home.path().join("bench.log");
    let file = std::fs::File::create(&log)?;
    let child = Command::new(place::binary("goraed"))
        .arg("--config")
        .arg(home.path().join("config.toml"))
        .arg("--root")
        .arg(daemon.root())
        .arg("--state")
        .arg(daemon.state())
        .arg("--listen")
        .arg(format!("unix://{}", daemon.socket().display()))
        .args(["--log-level", "info"])
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("run goraed")?;
    Ok((daemon.socket(), Own { child, log, _registry: registry, _home: home }))
}

/// The process that listens on a socket.
async fn owner(path: &Path) -> Result<u32> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    let pid = stream.peer_cred()?.pid().context("the kernel does not tell")?;
    Ok(u32::try_from(pid)?)
}
