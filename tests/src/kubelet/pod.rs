// SPDX-License-Identifier: Apache-2.0
//! Sentences about static pods: `pod.until("it is ready", ready).await`, `pod.remove().await`.

use super::api::Api;
use super::config::NODE_NAME;
use crate::cri::Cri;
use gorae_proto::cri::{Container, ContainerState, PodSandbox, PodSandboxState};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest wait for a pod to be as a test wants it.
const PATIENCE: Duration = Duration::from_secs(45);
/// Longest wait for kubelet's collection of what has ended, which comes once a minute.
const COLLECTION: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Where kubelet says what a container is for.
const POD_NAME: &str = "io.kubernetes.pod.name";

/// A pod whose manifest a test wrote.
#[derive(Debug, Clone)]
pub struct StaticPod {
    name: String,
    manifests: PathBuf,
    api: Api,
    cri: Cri,
}

impl StaticPod {
    pub(super) fn new(name: &str, manifests: PathBuf, api: Api, cri: Cri) -> StaticPod {
        StaticPod { name: format!("{name}-{NODE_NAME}"), manifests, api, cri }
    }

    /// Writes a manifest in one step: kubelet reads what it sees.
    pub(super) fn write(&self, manifest: &Value) {
        let fresh = self.manifests.with_file_name(format!("{}.new", self.name));
        std::fs::write(&fresh, manifest.to_string()).expect("the test's own directory can be written");
        std::fs::rename(fresh, self.manifest()).expect("both are in the test's own directory");
    }

    fn manifest(&self) -> PathBuf {
        self.manifests.join(format!("{}.json", self.name))
    }

    /// Its name, as kubelet has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `VERB/NAMESPACE/NAME` with more behind it: a path of kubelet's API.
    #[must_use]
    pub fn path(&self, verb: &str, more: &str) -> String {
        format!("/{verb}/tests/{}{more}", self.name)
    }

    /// The pod as kubelet has it now, specification and status.
    pub async fn now(&self) -> Option<Value> {
        // Kubelet does not answer while a test has it down.
        let pods = self.api.try_get("/pods").await.ok()?;
        let pods: Value = serde_json::from_str(&pods).expect("kubelet answers in JSON");
        pods["items"].as_array()?.iter().find(|pod| pod["metadata"]["name"] == self.name.as_str()).cloned()
    }

    /// Waits until the pod satisfies a condition and returns it; panics when it does not in time.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let pod = self.now().await;
            if let Some(pod) = pod.as_ref().filter(|pod| wanted(pod)) {
                return pod.clone();
            }
            let status = pod.map(|pod| pod["status"].to_string());
            assert!(begun.elapsed() < PATIENCE, "pod {}: waited until {what}, its status is {status:?}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Its sandboxes, as goraed lists them.
    async fn sandboxes(&self) -> Vec<PodSandbox> {
        let all = self.cri.list_pods().await.expect("goraed lists pods");
        all.into_iter().filter(|pod| pod.labels.get(POD_NAME) == Some(&self.name)).collect()
    }

    /// Its containers, as goraed lists them.
    async fn containers(&self) -> Vec<Container> {
        let all = self.cri.list_containers(None).await.expect("goraed lists containers");
        all.into_iter().filter(|container| container.labels.get(POD_NAME) == Some(&self.name)).collect()
    }

    /// Takes the manifest away; kubelet sees it by itself.
    pub fn withdraw(&self) {
        std::fs::remove_file(self.manifest()).expect("the pod has a manifest");
    }

    /// Takes the manifest away and waits until nothing of the pod runs; panics when it takes too long.
    pub async fn remove(&self) {
        self.withdraw();
        self.until_ended().await;
    }

    /// Waits until neither the pod nor one of its containers is up; panics when it takes too long.
    ///
    /// Kubelet removes some containers with the pod, and all that is left once a minute.
    pub async fn until_ended(&self) {
        let begun = Instant::now();
        loop {
            let pods = self.sandboxes().await.iter().filter(|pod| pod.state() == PodSandboxState::SandboxReady).count();
            let up = |c: &Container| c.state() == ContainerState::ContainerRunning;
            let containers = self.containers().await.iter().filter(|c| up(c)).count();
            if pods + containers == 0 {
                return;
            }
            let left = format!("{pods} sandboxes and {containers} containers are up");
            assert!(begun.elapsed() < PATIENCE, "pod {} has not ended after {PATIENCE:?}: {left}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until kubelet has removed everything of the pod from the runtime; panics when it takes too long.
    pub async fn until_removed(&self) {
        let begun = Instant::now();
        loop {
            let (pods, containers) = (self.sandboxes().await.len(), self.containers().await.len());
            if pods + containers == 0 {
                return;
            }
            let left = format!("{pods} sandboxes and {containers} containers");
            assert!(begun.elapsed() < COLLECTION, "pod {} is not removed after {COLLECTION:?}: {left}", self.name);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// True when a pod's condition `Ready` is true.
#[must_use]
pub fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

/// The status of one of a pod's containers, of whichever kind; `Null` when it has none yet.
#[must_use]
pub fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let kinds = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = kinds.iter().filter_map(|kind| pod["status"][kind].as_array()).flatten();
    all.into_iter().find(|status| status["name"] == name).unwrap_or(&Value::Null)
}
