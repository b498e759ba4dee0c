// SPDX-License-Identifier: Apache-2.0
//! A node under test: goraed in fresh directories with a registry beside it, or another runtime's socket.

use crate::cri::Cri;
use crate::daemon::Daemon;
use crate::pod::PodBuilder;
use crate::registry::Registry;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest start of a daemon, recovery included.
const START: Duration = Duration::from_secs(20);
/// Longest end of a daemon after SIGTERM (what the project promises).
const DRAIN: Duration = Duration::from_secs(5);

/// The node a test talks to.
#[derive(Debug)]
pub struct Node {
    cri: Cri,
    home: tempfile::TempDir,
    own: Option<Own>,
    disk: Option<Disk>,
}

/// A mounted tmpfs of its own; dropping it unmounts it. Declared last in [`Node`], so that it goes last.
#[derive(Debug)]
struct Disk(PathBuf);

impl Disk {
    fn mount(bytes: u64) -> Result<Disk> {
        let place = tempfile::Builder::new().prefix("gorae-disk-").tempdir()?.keep();
        let options = format!("size={bytes}");
        nix::mount::mount(
            Some("gorae-test"),
            &place,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options.as_str()),
        )?;
        Ok(Disk(place))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What fails here shows in the leak check of the next test.
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// What a node of ours has and a foreign socket has not.
#[derive(Debug)]
struct Own {
    daemon: Daemon,
    registry: Registry,
}

impl Node {
    /// Starts goraed over fresh directories, beside a registry with all test images; with `GORAE_TEST_SOCKET`,
    /// takes the runtime at that socket instead.
    ///
    /// # Errors
    /// When the images, the registry or the daemon cannot be had.
    pub async fn start() -> Result<Node> {
        match std::env::var("GORAE_TEST_SOCKET") {
            Ok(socket) => Node::foreign(&socket).await,
            Err(_) => Node::start_with(Registry::with_test_images()?, "").await,
        }
    }

    /// Starts goraed beside a registry, with more TOML in its configuration.
    ///
    /// # Errors
    /// When the daemon does not start.
    pub async fn start_with(registry: Registry, config: &str) -> Result<Node> {
        Node::start_in(&std::env::temp_dir(), registry, config).await
    }

    async fn start_in(place: &Path, registry: Registry, config: &str) -> Result<Node> {
        crate::place::assert_own_namespaces();
        let home = tempfile::Builder::new().prefix("gorae-test-").tempdir_in(place)?;
        let daemon = Daemon::configure(home.path(), registry.address(), config)?;
        daemon.start()?;
        let cri = Cri::new(&daemon.socket());
        let node = Node { cri, home, own: Some(Own { daemon, registry }), disk: None };
        node.cri.wait(START).await.with_context(|| format!("goraed said:\n{}", node.daemon().log()))?;
        Ok(node)
    }

    /// Starts goraed with its directories on a file system of so many bytes.
    ///
    /// # Errors
    /// When that file system cannot be made, or the daemon does not start.
    pub async fn start_on_disk_of(bytes: u64, registry: Registry) -> Result<Node> {
        let disk = Disk::mount(bytes)?;
        let mut node = Node::start_in(&disk.0, registry, "").await?;
        node.disk = Some(disk);
        Ok(node)
    }

    /// True when a line of a snapshot is about the small disk of this node.
    #[must_use]
    pub fn is_disk(&self, line: &str) -> bool {
        self.disk.as_ref().is_some_and(|disk| line.ends_with(&disk.0.display().to_string()))
    }

    async fn foreign(socket: &str) -> Result<Node> {
        let path = socket.strip_prefix("unix://").context("GORAE_TEST_SOCKET is not unix:///PATH")?;
        let cri = Cri::new(Path::new(path));
        cri.wait(START).await?;
        Ok(Node { cri, home: tempfile::tempdir()?, own: None, disk: None })
    }

    /// True when the runtime is goraed, started by this harness.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The CRI clients.
    #[must_use]
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// The daemon; panics when the test was pointed at another runtime.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        &self.own.as_ref().expect("this test restarts or looks into goraed: run it without GORAE_TEST_SOCKET").daemon
    }

    /// The registry beside the node.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.own.as_ref().expect("this test pushes images: run it without GORAE_TEST_SOCKET").registry
    }

    /// A fresh directory of this test, gone with the node.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.home.path().join("test").join(name);
        std::fs::create_dir_all(&path).expect("a fresh directory can be made");
        path
    }

    /// A pod that is going to be run; names are unique in a test.
    #[must_use]
    pub fn pod(&self, name: &str) -> PodBuilder {
        PodBuilder::new(&self.cri, name, &self.home.path().join("logs"))
    }

    /// Kills goraed as `kill -9` does, starts it again and waits until it answers; panics when it does not.
    pub async fn kill_and_restart(&self) {
        self.daemon().kill();
        self.restart().await;
    }

    /// Starts goraed again after it ended; panics when it does not answer.
    pub async fn restart(&self) {
        self.daemon().start().expect("goraed starts");
        let up = self.cri.wait(START).await;
        up.unwrap_or_else(|e| panic!("{e:#}\ngoraed said:\n{}", self.daemon().log()));
    }

    /// Stops and removes every pod and then every image.
    ///
    /// # Errors
    /// With the first object that could not be removed.
    pub async fn sweep(&self) -> Result<()> {
        for pod in self.cri.list_pods().await? {
            self.cri.clear_pod(&pod.id).await.with_context(|| format!("clear pod {}", pod.id))?;
        }
        for image in self.cri.list_images().await? {
            self.cri.remove_image(&image.id).await.with_context(|| format!("remove image {}", image.id))?;
        }
        Ok(())
    }

    /// Runs and removes one pod, so that what a node makes once (bridge, tables, parent cgroups) is there.
    ///
    /// # Errors
    /// When that fails.
    pub async fn warm_up(&self) -> Result<()> {
        let pod = self.pod("warm-up").port(19_999, 80).try_run().await.context("run the first pod")?;
        self.cri.clear_pod(pod.id()).await.context("clear the first pod")
    }

    /// Ends goraed by SIGTERM.
    ///
    /// # Errors
    /// When it takes longer than promised or does not end with success.
    pub fn terminate(&self) -> Result<()> {
        let status = self.daemon().terminate(DRAIN)?;
        anyhow::ensure!(status.success(), "goraed ended with {status} after SIGTERM");
        Ok(())
    }
}
