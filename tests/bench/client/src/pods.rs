// SPDX-License-Identifier: Apache-2.0
//! Pods and containers as kubelet asks for them.

use super::arguments::Arguments;
use super::target::Target;
use anyhow::{Context, Result, ensure};
use gorae_proto::cri::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, DnsConfig, ExecSyncRequest, ImageSpec, KeyValue,
    LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, Mount, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    RunPodSandboxRequest, SecurityProfile, StartContainerRequest, security_profile::ProfileType,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Makes pods at the target.
pub struct Pods<'a> {
    pub target: &'a Target,
    image: String,
    command: Vec<String>,
    exec: Vec<String>,
    cgroup_parent: String,
    files: tempfile::TempDir,
    made: AtomicUsize,
}

impl<'a> Pods<'a> {
    pub fn new(target: &'a Target, arguments: &Arguments) -> Result<Self> {
        let files = tempfile::Builder::new().prefix("gorae-bench-files-").tempdir()?;
        std::fs::write(files.path().join("hosts"), "127.0.0.1 localhost\n")?;
        std::fs::write(files.path().join("termination-log"), "")?;
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        Ok(Self {
            target,
            image: arguments.image.clone(),
            command: words(&arguments.command),
            exec: words(&arguments.exec),
            cgroup_parent: arguments.cgroup_parent.clone(),
            files,
            made: AtomicUsize::new(0),
        })
    }

    /// The configuration of a pod that has not been before, its log directory made as kubelet does.
    pub fn config(&self) -> Result<PodSandboxConfig> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id());
        let logs = self.files.path().join("logs").join(&name);
        std::fs::create_dir_all(&logs)?;
        let text = |s: &str| s.to_owned();
        Ok(PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                uid: name.clone(),
                namespace: text("bench"),
                attempt: 0,
                name: name.clone(),
            }),
            hostname: name,
            log_directory: logs.display().to_string(),
            dns_config: Some(DnsConfig {
                servers: vec![text("10.96.0.10")],
                searches: vec![text("default.svc.cluster.local"), text("svc.cluster.local")],
                options: vec![text("ndots:5")],
            }),
            labels: [(text("app"), text("bench"))].into(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    seccomp: Some(runtime_default()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    /// The configuration of a container.
    pub fn container(&self) -> ContainerConfig {
        let file = |name: &str| self.files.path().join(name);
        let mount = |at: &str, from: PathBuf| Mount {
            container_path: at.to_owned(),
            host_path: from.display().to_string(),
            ..Default::default()
        };
        let variable = |i| KeyValue { key: format!("KUBERNETES_VAR_{i}"), value: b"10.96.0.1".to_vec() };
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: "c".to_owned(), attempt: 0 }),
            image: Some(ImageSpec {
                image: self.image.clone(),
                user_specified_image: self.image.clone(),
                ..Default::default()
            }),
            command: self.command.clone(),
            log_path: "0.log".to_owned(),
            labels: [("app".to_owned(), "bench".to_owned())].into(),
            envs: (0..5).map(variable).collect(),
            mounts: vec![mount("/etc/hosts", file("hosts")), mount("/dev/termination-log", file("termination-log"))],
            linux: Some(LinuxContainerConfig {
                resources: Some(LinuxContainerResources {
                    cpu_period: 100_000,
                    cpu_quota: 100_000,
                    cpu_shares: 102,
                    memory_limit_in_bytes: 512 << 20,
                    oom_score_adj: 1000,
                    ..Default::default()
                }),
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: Some(namespaces()),
                    seccomp: Some(runtime_default()),
                    masked_paths: MASKED.map(str::to_owned).into(),
                    readonly_paths: READ_ONLY.map(str::to_owned).into(),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        }
    }

    /// RunPodSandbox.
    pub async fn run(&self, config: &PodSandboxConfig) -> Result<String> {
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let answer = self.target.cri().runtime().run_pod_sandbox(request).await.context("RunPodSandbox")?;
        Ok(answer.into_inner().pod_sandbox_id)
    }

    /// CreateContainer.
    pub async fn create(&self, pod: &str, config: &PodSandboxConfig) -> Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.to_owned(),
            config: Some(self.container()),
            sandbox_config: Some(config.clone()),
        };
        let answer = self.target.cri().runtime().create_container(request).await.context("CreateContainer")?;
        Ok(answer.into_inner().container_id)
    }

    /// StartContainer.
    pub async fn start(&self, container: &str) -> Result<()> {
        let request = StartContainerRequest { container_id: container.to_owned() };
        self.target.cri().runtime().start_container(request).await.context("StartContainer")?;
        Ok(())
    }

    /// ExecSync of a program that ends at once.
    pub async fn exec(&self, container: &str) -> Result<()> {
        let request = ExecSyncRequest { container_id: container.to_owned(), cmd: self.exec.clone(), timeout: 30 };
        let answer = self.target.cri().runtime().exec_sync(request).await.context("ExecSync")?.into_inner();
        ensure!(answer.exit_code == 0, "the exec ended with {}", answer.exit_code);
        Ok(())
    }
}

impl Drop for Pods<'_> {
    /// The parent of the pods' cgroups is the client's, as it would be kubelet's.
    fn drop(&mut self) {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for line in mounts.lines() {
            if let [_, place, "cgroup" | "cgroup2", ..] = line.split(' ').collect::<Vec<_>>()[..] {
                // Not there, or somebody else's pods are in it: both are fine.
                let _ = std::fs::remove_dir(format!("{place}{}", self.cgroup_parent));
            }
        }
    }
}

fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn runtime_default() -> SecurityProfile {
    SecurityProfile { profile_type: ProfileType::RuntimeDefault.into(), localhost_ref: String::new() }
}
