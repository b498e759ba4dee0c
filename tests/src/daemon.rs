// SPDX-License-Identifier: Apache-2.0
//! One goraed process over directories that outlive it.

use crate::place;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The hosts that critest and our own tests ask for; each is a mirror of the loopback registry.
pub const MIRRORED: [&str; 4] = ["registry.k8s.io", "gcr.io", "k8s.gcr.io", "images.gorae.test"];

/// Directories and configuration of a daemon, and its process while it runs.
#[derive(Debug)]
pub struct Daemon {
    home: PathBuf,
    child: Mutex<Option<Child>>,
    environment: Mutex<Vec<(String, PathBuf)>>,
    within: Vec<String>,
}

impl Daemon {
    /// Writes the configuration of a new daemon below `home`; `extra` is TOML that stands before it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure(home: &Path, registry: SocketAddr, extra: &str) -> Result<Daemon> {
        Daemon::configure_within(Vec::new(), home, registry, extra)
    }

    /// The same for a daemon that a command runs where it belongs: its words stand before those of the daemon, and its
    /// process becomes the daemon's.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure_within(within: Vec<String>, home: &Path, registry: SocketAddr, extra: &str) -> Result<Daemon> {
        let daemon = Daemon { home: home.to_owned(), child: Mutex::default(), environment: Mutex::default(), within };
        for host in MIRRORED {
            let text = format!(
                "server = \"https://{host}\"\n\n[host.\"http://{registry}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
            );
            daemon.set_hosts(host, &text)?;
        }
        let [first, last] = daemon.cdi_directories();
        let config = format!(
            "{extra}[cdi]\ndirectories = [{first:?}, {last:?}]\n[images]\nhosts_dirs = [\"{}\"]\n",
            home.join("hosts.d").display()
        );
        std::fs::write(daemon.config_file(), config)?;
        Ok(daemon)
    }

    /// Where pods, containers and images are kept.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.home.join("root")
    }

    /// Where pins, sockets and states are kept.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// Where CDI spec files are looked for; the second wins. A test makes them when it needs them.
    #[must_use]
    pub fn cdi_directories(&self) -> [PathBuf; 2] {
        ["cdi/etc", "cdi/run"].map(|dir| self.home.join(dir))
    }

    /// The CRI socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.home.join("cri.sock")
    }

    /// The socket of the listener for operators.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.state().join("admin.sock")
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// Writes the hosts.toml of a registry; it counts from the next pull on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_hosts(&self, registry: &str, text: &str) -> Result<()> {
        let dir = self.home.join("hosts.d").join(registry);
        std::fs::create_dir_all(&dir)?;
        Ok(std::fs::write(dir.join("hosts.toml"), text)?)
    }

    /// Sets a variable that names a file, from the next start on.
    pub fn set_variable(&self, name: &str, file: &Path) {
        let mut environment = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        environment.push((name.to_owned(), file.to_owned()));
    }

    /// The log of the daemon, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("goraed.log")).unwrap_or_default()
    }

    /// Process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process; it may not answer yet.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn start(&self) -> Result<()> {
        self.start_binary(&place::binary("goraed"))
    }

    /// The same with the daemon of another build.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start_binary(&self, goraed: &Path) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.home.join("goraed.log"))?;
        let mut words = self.within.iter().map(OsStr::new).chain([goraed.as_os_str()]);
        let child = Command::new(words.next().expect("there is the daemon's own"))
            .args(words)
            .arg("--config")
            .arg(self.config_file())
            .arg("--root")
            .arg(self.root())
            .arg("--state")
            .arg(self.state())
            .arg("--listen")
            .arg(format!("unix://{}", self.socket().display()))
            .args(["--log-level", "debug"])
            .envs(self.environment.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run goraed")?;
        *self.child() = Some(child);
        Ok(())
    }

    /// Ends the process at once, as the kernel's OOM killer would.
    pub fn kill(&self) {
        let child = self.child().take();
        if let Some(mut child) = child {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The same without waiting: a thread of it may be where no signal reaches.
    pub fn kill_without_waiting(&self) {
        let child = self.child().take();
        if let Some(mut child) = child {
            let _ = child.kill();
            std::thread::spawn(move || child.wait());
        }
    }

    /// Asks the process to end, and waits until it has.
    ///
    /// # Errors
    /// When it takes longer than the limit.
    pub fn terminate(&self, limit: Duration) -> Result<ExitStatus> {
        let mut child = self.child().take().context("goraed does not run")?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
            }
            ensure!(begun.elapsed() <= limit, "goraed still runs {limit:?} after SIGTERM");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
