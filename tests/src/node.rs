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
        crate::place::assert_own_namespaces();
        let home = tempfile::Builder::new().prefix("gorae-test-").tempdir()?;
        let mut daemon = Daemon::configure(home.path(), registry.address(), config)?;
        daemon.start()?;
        let cri = Cri::new(&daemon.socket());
        let node = Node { cri, home, own: Some(Own { daemon, registry }) };
        node.cri.wait(START).await.with_context(|| format!("goraed said:\n{}", node.daemon().log()))?;
        Ok(node)
    }

    async fn foreign(socket: &str) -> Result<Node> {
        let path = socket.strip_prefix("unix://").context("GORAE_TEST_SOCKET is not unix:///PATH")?;
        let cri = Cri::new(Path::new(path));
        cri.wait(START).await?;
        Ok(Node { cri, home: tempfile::tempdir()?, own: None })
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

    /// The daemon, to be killed or started.
    pub fn daemon_mut(&mut self) -> &mut Daemon {
        let own = self.own.as_mut();
        &mut own.expect("this test restarts or looks into goraed: run it without GORAE_TEST_SOCKET").daemon
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
    pub async fn kill_and_restart(&mut self) {
        self.daemon_mut().kill();
        self.restart().await;
    }

    /// Starts goraed again after it ended; panics when it does not answer.
    pub async fn restart(&mut self) {
        self.daemon_mut().start().expect("goraed starts");
        // A new connection: the old one may sit in its back-off.
        self.cri = Cri::new(&self.daemon().socket());
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
    pub fn terminate(&mut self) -> Result<()> {
        let status = self.daemon_mut().terminate(DRAIN)?;
        anyhow::ensure!(status.success(), "goraed ended with {status} after SIGTERM");
        Ok(())
    }
}
