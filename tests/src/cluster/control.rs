// SPDX-License-Identifier: Apache-2.0
//! The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in the test's own namespaces.

use super::api::Api;
use super::keys::Keys;
use super::run::Running;
use crate::place;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The addresses of pods; each node gets a /24 of them.
pub const PODS: &str = "10.64.0.0/16";
/// The addresses of services.
const SERVICES: &str = "10.96.0.0/16";
/// Longest start of the API server on a busy machine.
const START: Duration = Duration::from_secs(120);
/// Longest end of one of the programs.
const END: Duration = Duration::from_secs(90);

/// The running programs, the first started first.
#[derive(Debug)]
pub struct Control {
    programs: Vec<Running>,
}

impl Control {
    /// Starts all of them and waits until the API server is ready.
    ///
    /// # Errors
    /// When one ends, or it takes too long.
    pub async fn start(home: &Path, keys: &Keys, api: &Api) -> Result<Control> {
        std::fs::create_dir_all(home)?;
        let mut control = Control { programs: Vec::new() };
        control.run(home, "etcd", &etcd(home))?;
        control.run(home, "kube-apiserver", &server(keys))?;
        control.until_ready(api).await?;
        control.run(home, "kube-controller-manager", &controllers(keys))?;
        control.run(home, "kube-scheduler", &scheduler(keys))?;
        Ok(control)
    }

    fn run(&mut self, home: &Path, name: &str, words: &[String]) -> Result<()> {
        let mut command = Command::new(place::cluster_tool(name));
        command.args(words);
        self.programs.push(Running::start(name, command, &home.join(format!("{name}.log")))?);
        Ok(())
    }

    async fn until_ready(&mut self, api: &Api) -> Result<()> {
        let begun = Instant::now();
        loop {
            let Err(error) = api.text("/readyz").await else { return Ok(()) };
            self.programs.iter_mut().try_for_each(Running::is_up)?;
            ensure!(begun.elapsed() < START, "the API server is not ready after {START:?}: {error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends them, the last started first.
    ///
    /// # Errors
    /// When one has ended before, or takes too long.
    pub fn end(mut self) -> Result<()> {
        self.programs.iter_mut().try_for_each(Running::is_up).context("the control plane did not last")?;
        self.programs.iter_mut().rev().try_for_each(|program| program.terminate(END))
    }
}

fn etcd(home: &Path) -> Vec<String> {
    vec![
        "--name=control".into(),
        format!("--data-dir={}", home.join("etcd").display()),
        "--listen-client-urls=http://127.0.0.1:2379".into(),
        "--advertise-client-urls=http://127.0.0.1:2379".into(),
        "--listen-peer-urls=http://127.0.0.1:2380".into(),
        "--initial-advertise-peer-urls=http://127.0.0.1:2380".into(),
        "--initial-cluster=control=http://127.0.0.1:2380".into(),
        "--log-level=warn".into(),
        // What it keeps goes with the test.
        "--unsafe-no-fsync".into(),
    ]
}

fn server(keys: &Keys) -> Vec<String> {
    vec![
        "--etcd-servers=http://127.0.0.1:2379".into(),
        "--bind-address=0.0.0.0".into(),
        "--advertise-address=10.200.0.1".into(),
        "--secure-port=6443".into(),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--tls-cert-file={}", keys.file("server.crt")),
        format!("--tls-private-key-file={}", keys.file("server.key")),
        format!("--token-auth-file={}", keys.file("tokens.csv")),
        format!("--service-account-key-file={}", keys.file("accounts.key")),
        format!("--service-account-signing-key-file={}", keys.file("accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        "--kubelet-preferred-address-types=InternalIP".into(),
        "--endpoint-reconciler-type=lease".into(),
    ]
}

fn controllers(keys: &Keys) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", keys.kubeconfig("controllers-token")),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
        "--allocate-node-cidrs=true".into(),
        format!("--cluster-cidr={PODS}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--root-ca-file={}", keys.file("ca.crt")),
        format!("--service-account-private-key-file={}", keys.file("accounts.key")),
        "--use-service-account-credentials=true".into(),
    ]
}

fn scheduler(keys: &Keys) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", keys.kubeconfig("scheduler-token")),
        "--leader-elect=false".into(),
        "--bind-address=127.0.0.1".into(),
    ]
}
