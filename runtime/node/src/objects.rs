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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Record, State, fixtures};
    use crate::pod;

    fn metadata(name: &str, attempt: u32) -> cri::ContainerMetadata {
        cri::ContainerMetadata { name: name.into(), attempt }
    }

    fn container(id: char, pod: char, (name, attempt): (&str, u32), created_at: i64) -> Arc<Container> {
        let config = cri::ContainerConfig { metadata: Some(metadata(name, attempt)), ..Default::default() };
        let (id, pod_id) = (ContainerId::of_digit(id), PodId::of_digit(pod));
        Container::new(Record { id, pod_id, config, created_at, ..fixtures::record() }, State::Created)
    }

    fn objects(containers: impl IntoIterator<Item = Arc<Container>>) -> Objects {
        let objects = Objects::default();
        containers.into_iter().for_each(|container| objects.containers.insert(container));
        objects
    }

    fn ids(containers: impl IntoIterator<Item = Arc<Container>>) -> Vec<ContainerId> {
        containers.into_iter().map(|container| container.record().id.clone()).collect()
    }

    #[test]
    fn the_containers_of_a_pod_are_its_own_and_the_newest_is_first() {
        let objects = objects([
            container('1', 'a', ("web", 0), 5),
            container('2', 'b', ("web", 0), 6),
            container('3', 'a', ("log", 0), 9),
            container('4', 'a', ("web", 1), 7),
        ]);
        assert_eq!(ids(objects.of_pod(&PodId::of_digit('a'))), ['3', '4', '1'].map(ContainerId::of_digit));
        assert_eq!(ids(objects.of_pod(&PodId::of_digit('c'))), []);
    }

    #[test]
    fn a_container_is_found_by_its_whole_name_and_attempt_only() {
        let objects = objects([container('1', 'a', ("web", 1), 5), container('2', 'a', ("web", 11), 6)]);
        let of = |pod, name, attempt| ids(objects.container_of(&PodId::of_digit(pod), &metadata(name, attempt)));
        assert_eq!(of('a', "web", 1), [ContainerId::of_digit('1')]);
        assert_eq!(of('a', "web", 11), [ContainerId::of_digit('2')]);
        for (pod, name, attempt) in [('a', "we", 1), ('a', "web", 0), ('b', "web", 1)] {
            assert_eq!(of(pod, name, attempt), [], "{pod} {name} {attempt}");
        }
    }

    #[test]
    fn of_two_containers_with_one_name_the_newer_is_the_current_one() {
        let objects = objects([container('1', 'a', ("web", 0), 9), container('2', 'a', ("web", 0), 6)]);
        let current = objects.container_of(&PodId::of_digit('a'), &metadata("web", 0));
        assert_eq!(ids(current), [ContainerId::of_digit('1')]);
    }

    #[test]
    fn a_pod_is_found_by_namespace_name_uid_and_attempt() {
        let config = |namespace: &str, uid: &str, attempt| cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: "web".into(),
                uid: uid.into(),
                namespace: namespace.into(),
                attempt,
            }),
            ..Default::default()
        };
        let objects = Objects::default();
        objects.pods.insert(Pod::new(pod::test_record(config("team", "u", 1)), pod::State::NotReady));
        assert!(objects.pod_of(&config("team", "u", 1)).is_some());
        for other in [config("other", "u", 1), config("team", "v", 1), config("team", "u", 0)] {
            assert!(objects.pod_of(&other).is_none(), "{other:?}");
        }
    }
}
