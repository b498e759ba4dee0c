// SPDX-License-Identifier: Apache-2.0
//! The pods and containers that the daemon knows, and look-ups among them.

use crate::container::Container;
use crate::ids::{ContainerId, OfContainer, OfPod, PodId};
use crate::index::{Index, Indexed};
use crate::pod::Pod;
use gorae_proto::cri;
use std::cmp::Reverse;
use std::sync::Arc;

/// All pods and containers.
#[derive(Debug)]
pub struct Objects {
    /// Pods, by id and by namespace, name, uid and attempt.
    pub pods: Index<Pod>,
    /// Containers, by id and by pod, name and attempt.
    pub containers: Index<Container>,
}

impl Default for Objects {
    fn default() -> Self {
        Self { pods: Index::new("pod"), containers: Index::new("container") }
    }
}

impl Objects {
    /// The containers of a pod, the newest first. Of several with the same name, kubelet takes the first as the current
    /// one.
    pub fn of_pod(&self, pod_id: &PodId) -> Vec<Arc<Container>> {
        let mut all = self.containers.named(&format!("{pod_id}\0"));
        all.sort_by_cached_key(|container| Reverse(container.record().created_at));
        all
    }

    /// The pod that was made by a request with this identity.
    pub fn pod_of(&self, config: &cri::PodSandboxConfig) -> Option<Arc<Pod>> {
        self.pods.named(&Pod::key(config)).into_iter().next()
    }

    /// The container of a pod that was made by a request with this identity.
    pub fn container_of(&self, pod_id: &PodId, metadata: &cri::ContainerMetadata) -> Option<Arc<Container>> {
        let named = self.containers.named(&Container::key(pod_id, metadata));
        named.into_iter().max_by_key(|container| container.record().created_at)
    }
}

impl Indexed for Pod {
    type Kind = OfPod;

    fn id(&self) -> PodId {
        self.record.id.clone()
    }

    fn name(&self) -> String {
        Pod::key(&self.record.config)
    }
}

impl Indexed for Container {
    type Kind = OfContainer;

    fn id(&self) -> ContainerId {
        self.record().id.clone()
    }

    fn name(&self) -> String {
        let record = self.record();
        let none = cri::ContainerMetadata::default();
        Container::key(&record.pod_id, record.config.metadata.as_ref().unwrap_or(&none))
    }
}
