// SPDX-License-Identifier: Apache-2.0
//! Sentences about pods: `node.pod("a").port(18080, 80).run().await`, `pod.stop().await`.

use crate::container::ContainerBuilder;
use crate::cri::Cri;
use gorae_proto::cri::{
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig,
    PodSandboxMetadata, PodSandboxStatus, PodSandboxStatusRequest, PortMapping, Protocol, RemovePodSandboxRequest,
    RunPodSandboxRequest, StopPodSandboxRequest,
};
use std::path::{Path, PathBuf};
use tonic::Status;

/// A pod that is going to be run.
#[derive(Debug, Clone)]
pub struct PodBuilder {
    cri: Cri,
    config: PodSandboxConfig,
    handler: String,
}

/// A pod on the node.
#[derive(Debug, Clone)]
pub struct Pod {
    cri: Cri,
    config: PodSandboxConfig,
    id: String,
}

impl PodBuilder {
    /// A pod with the smallest configuration that kubelet would send; its logs go below `logs`.
    #[must_use]
    pub fn new(cri: &Cri, name: &str, logs: &Path) -> PodBuilder {
        let metadata = PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            namespace: "tests".to_owned(),
            attempt: 0,
        };
        let security = LinuxSandboxSecurityContext { namespace_options: Some(own_namespaces()), ..Default::default() };
        let config = PodSandboxConfig {
            metadata: Some(metadata),
            hostname: name.to_owned(),
            log_directory: logs.join(name).display().to_string(),
            linux: Some(LinuxPodSandboxConfig { security_context: Some(security), ..Default::default() }),
            ..Default::default()
        };
        PodBuilder { cri: cri.clone(), config, handler: String::new() }
    }

    /// Publishes a TCP port of the pod on the host.
    #[must_use]
    pub fn port(mut self, host_port: i32, container_port: i32) -> Self {
        let protocol = Protocol::Tcp.into();
        self.config.port_mappings.push(PortMapping { protocol, container_port, host_port, host_ip: String::new() });
        self
    }

    /// Sets a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.config.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Shares the host's network.
    #[must_use]
    pub fn host_network(self) -> Self {
        self.with(|config| {
            config.hostname.clear();
            namespaces(config).network = NamespaceMode::Node.into();
        })
    }

    /// One process namespace for the whole pod.
    #[must_use]
    pub fn shared_processes(self) -> Self {
        self.with(|config| namespaces(config).pid = NamespaceMode::Pod.into())
    }

    /// Asks for a runtime handler.
    #[must_use]
    pub fn handler(mut self, handler: &str) -> Self {
        self.handler = handler.to_owned();
        self
    }

    /// Changes anything else of the configuration.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut PodSandboxConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Runs the pod; panics when the runtime refuses.
    pub async fn run(self) -> Pod {
        let name = self.config.hostname.clone();
        self.try_run().await.unwrap_or_else(|status| panic!("run pod {name}: {status:?}"))
    }

    /// Runs the pod.
    ///
    /// # Errors
    /// The status of RunPodSandbox.
    pub async fn try_run(self) -> Result<Pod, Status> {
        if !self.config.log_directory.is_empty() {
            std::fs::create_dir_all(&self.config.log_directory).map_err(|e| Status::aborted(e.to_string()))?;
        }
        self.run_as_it_is().await
    }

    /// Runs the pod without making its log directory first, as kubelet would.
    ///
    /// # Errors
    /// The status of RunPodSandbox.
    pub async fn run_as_it_is(self) -> Result<Pod, Status> {
        let request = RunPodSandboxRequest { config: Some(self.config.clone()), runtime_handler: self.handler };
        let id = self.cri.runtime().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id;
        Ok(Pod { cri: self.cri, config: self.config, id })
    }
}

impl Pod {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its configuration as it was asked for.
    #[must_use]
    pub fn config(&self) -> &PodSandboxConfig {
        &self.config
    }

    /// The clients it was made with.
    #[must_use]
    pub fn cri(&self) -> &Cri {
        &self.cri
    }

    /// A container of this pod that is going to be created.
    #[must_use]
    pub fn container(&self, name: &str) -> ContainerBuilder {
        ContainerBuilder::new(&self.cri, &self.id, &self.config, name)
    }

    /// Where a container's log is.
    #[must_use]
    pub fn log_directory(&self) -> PathBuf {
        PathBuf::from(&self.config.log_directory)
    }

    /// Its status; panics when the runtime does not know it.
    pub async fn status(&self) -> PodSandboxStatus {
        self.try_status().await.unwrap_or_else(|status| panic!("status of pod {}: {status:?}", self.id))
    }

    /// Its status.
    ///
    /// # Errors
    /// The status of PodSandboxStatus.
    pub async fn try_status(&self) -> Result<PodSandboxStatus, Status> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: self.id.clone(), verbose: false };
        let answer = self.cri.runtime().pod_sandbox_status(request).await?.into_inner();
        Ok(answer.status.expect("an answer without an error has a status"))
    }

    /// The information of a verbose status.
    pub async fn info(&self) -> serde_json::Value {
        let request = PodSandboxStatusRequest { pod_sandbox_id: self.id.clone(), verbose: true };
        let answer = self.cri.runtime().pod_sandbox_status(request).await.expect("the pod is known").into_inner();
        serde_json::from_str(answer.info.get("info").expect("verbose answers have info")).expect("info is JSON")
    }

    /// The file of its network namespace, as a verbose status shows it to debugging tools; panics when it has none.
    pub async fn netns(&self) -> PathBuf {
        let info = self.info().await;
        let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array().expect("namespaces").clone();
        let network = namespaces.into_iter().find(|namespace| namespace["type"] == "network").expect("one of its own");
        network["path"].as_str().expect("a path").into()
    }

    /// Its first address; panics when it has none.
    pub async fn address(&self) -> String {
        let network = self.status().await.network.expect("a pod with a network of its own");
        assert!(!network.ip.is_empty(), "pod {} has no address", self.id);
        network.ip
    }

    /// Stops it; panics when the runtime refuses.
    pub async fn stop(&self) {
        self.try_stop().await.unwrap_or_else(|status| panic!("stop pod {}: {status:?}", self.id));
    }

    /// Stops it.
    ///
    /// # Errors
    /// The status of StopPodSandbox.
    pub async fn try_stop(&self) -> Result<(), Status> {
        let request = StopPodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.runtime().stop_pod_sandbox(request).await.map(drop)
    }

    /// Removes it; panics when the runtime refuses.
    pub async fn remove(&self) {
        self.try_remove().await.unwrap_or_else(|status| panic!("remove pod {}: {status:?}", self.id));
    }

    /// Removes it.
    ///
    /// # Errors
    /// The status of RemovePodSandbox.
    pub async fn try_remove(&self) -> Result<(), Status> {
        let request = RemovePodSandboxRequest { pod_sandbox_id: self.id.clone() };
        self.cri.runtime().remove_pod_sandbox(request).await.map(drop)
    }
}

/// What kubelet asks for an ordinary pod: everything its own, processes per container.
fn own_namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..NamespaceOption::default()
    }
}

/// The namespace options of a pod, to be changed.
pub fn namespaces(config: &mut PodSandboxConfig) -> &mut NamespaceOption {
    let linux = config.linux.get_or_insert_default();
    linux.security_context.get_or_insert_default().namespace_options.get_or_insert_with(own_namespaces)
}
