// SPDX-License-Identifier: Apache-2.0
//! A node of a cluster: goraed and kubelet on a machine.

use super::host::Host;
use super::images::REGISTRY;
use super::keys::Keys;
use super::run::Running;
use crate::cri::Cri;
use crate::daemon::Daemon;
use crate::kubelet::{DEFAULT, Ports, configuration};
use crate::place;
use anyhow::{Context, Result, ensure};
use gorae_proto::cri::{ContainerState, ExecSyncRequest};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The address of the cluster's name server.
pub const DNS: &str = "10.96.0.10";
/// Longest start of a daemon, recovery included.
const START: Duration = Duration::from_secs(30);
/// Longest end of kubelet or goraed after SIGTERM.
const END: Duration = Duration::from_secs(15);
/// Longest run of a command in a container, in seconds.
const COMMAND: i64 = 30;

/// How much of the daemon's log a failing test prints, in bytes.
const LOG_TAIL: usize = 12_000;

/// A node. What it is made of goes in this order.
#[derive(Debug)]
pub struct ClusterNode {
    kubelet: Option<Running>,
    daemon: Daemon,
    cri: Cri,
    host: Host,
    home: PathBuf,
}

/// What a command in a container printed, and its exit code.
pub type Said = (String, i32);

impl ClusterNode {
    /// Starts goraed and then kubelet on a machine. `network` is TOML of goraed's configuration.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(
        host: Host,
        home: &Path,
        keys: &Keys,
        registries: [SocketAddr; 2],
        network: &str,
    ) -> Result<ClusterNode> {
        let [tests, own] = registries;
        let daemon = Daemon::configure_within(host.within(), home, tests, network)?;
        let mirror = format!(
            "server = \"https://{REGISTRY}\"\n\n[host.\"http://{own}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
        );
        daemon.set_hosts(REGISTRY, &mirror)?;
        daemon.start()?;
        let cri = Cri::new(&daemon.socket());
        let mut node = ClusterNode { kubelet: None, daemon, cri, host, home: home.to_owned() };
        node.until_daemon_answers().await?;
        node.start_kubelet(keys)?;
        Ok(node)
    }

    async fn until_daemon_answers(&self) -> Result<()> {
        self.cri.wait(START).await.with_context(|| format!("goraed of {} said:\n{}", self.name(), self.daemon.log()))
    }

    fn start_kubelet(&mut self, keys: &Keys) -> Result<()> {
        for directory in ["manifests", "logs", "kubelet", "pki", "volume-plugins"] {
            std::fs::create_dir_all(self.home.join(directory))?;
        }
        let servers = self.home.join("resolv.conf");
        std::fs::write(&servers, "search gorae.test\n")?;
        let mut config = configuration(&self.home, &self.cri.endpoint(), Ports { api: 10250, health: 10248 }, DEFAULT);
        for (key, value) in [
            ("registerNode", json!(true)),
            ("address", json!("0.0.0.0")),
            ("clusterDNS", json!([DNS])),
            ("clusterDomain", json!("cluster.local")),
            ("resolvConf", json!(servers)),
        ] {
            config[key] = value;
        }
        let file = self.home.join("kubelet.json");
        std::fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
        let words = [
            format!("--config={}", file.display()),
            format!("--kubeconfig={}", keys.kubeconfig(&format!("{}-token", self.name()))),
            format!("--root-dir={}", self.home.join("kubelet").display()),
            format!("--cert-dir={}", self.home.join("pki").display()),
            format!("--hostname-override={}", self.name()),
            format!("--node-ip={}", self.host.address()),
            "--v=2".to_owned(),
        ];
        self.kubelet = Some(self.host.start(&place::tool("kubelet"), &words, &self.home)?);
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// The machine below it.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its daemon.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The clients of its daemon.
    #[must_use]
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// A directory for files of this node.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Starts the daemon of another directory over what the killed one left; new containers get the shim beside it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn upgrade(&self, directory: &Path) -> Result<()> {
        self.daemon.start_binary(&directory.join("goraed"))?;
        self.until_daemon_answers().await
    }

    /// Runs a command in the only running container of a pod.
    ///
    /// # Errors
    /// When there is no such container, or the command cannot be run.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Result<Said> {
        let all = self.cri.list_containers(None).await?;
        let is_pods = |labels: &std::collections::HashMap<String, String>| {
            labels.get("io.kubernetes.pod.name").is_some_and(|name| name == pod)
        };
        let running = all.into_iter().find(|c| is_pods(&c.labels) && c.state() == ContainerState::ContainerRunning);
        let container = running.with_context(|| format!("pod {pod} has no running container on {}", self.name()))?;
        let request = ExecSyncRequest {
            container_id: container.id,
            cmd: command.iter().map(|&word| word.to_owned()).collect(),
            timeout: COMMAND,
        };
        let answer = self.cri.runtime().exec_sync(request).await?.into_inner();
        let text = [answer.stdout, answer.stderr].concat();
        Ok((String::from_utf8_lossy(&text).into_owned(), answer.exit_code))
    }

    /// Ends kubelet, removes every pod, and ends goraed.
    ///
    /// # Errors
    /// When one of them does not end, or something of a pod cannot be removed.
    pub async fn end(&mut self) -> Result<()> {
        if let Some(mut kubelet) = self.kubelet.take() {
            kubelet.is_up()?;
            kubelet.terminate(END)?;
        }
        for pod in self.cri.list_pods().await? {
            self.cri.clear_pod(&pod.id).await.with_context(|| format!("clear pod {} of {}", pod.id, self.name()))?;
        }
        let status = self.daemon.terminate(END)?;
        ensure!(status.success(), "goraed of {} ended with {status} after SIGTERM", self.name());
        Ok(())
    }
}

impl Drop for ClusterNode {
    /// Where it was not ended, the test has failed.
    fn drop(&mut self) {
        if self.daemon.pid().is_some() {
            let log = self.daemon.log();
            let start = log.len().saturating_sub(LOG_TAIL);
            let start = (start..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
            eprintln!("---- the last words of goraed of {} ----\n{}\n----", self.name(), &log[start..]);
        }
    }
}
