// SPDX-License-Identifier: Apache-2.0
//! The pods and containers in the form that the statistics reader needs.

use super::reader::Usage;
use crate::container::{self, Container, State};
use crate::ids::{ContainerId, PodId};
use crate::places::Places;
use crate::pod::Pod;
use gorae_proto::cri;
use gorae_stats::{self as stats, ContainerSubject, Interface, PodSubject};
use std::path::PathBuf;
use std::sync::Arc;

fn upper(places: &Places, id: &ContainerId) -> PathBuf {
    places.container_root(id).join("upper")
}

/// Reads these containers; stopped ones show only their writable layer.
pub(super) fn containers_now(usage: &Usage, containers: &[Arc<Container>]) -> Vec<cri::ContainerStats> {
    let one = |container: &Arc<Container>| {
        let record = container.record();
        let attributes = cri::ContainerAttributes {
            id: record.id.to_string(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        };
        let upper = upper(&usage.machine.places, &record.id);
        match container.state() {
            State::Running { .. } => usage.stats.container(attributes, &record.cgroup, &upper),
            _ => Some(usage.stats.stopped_container(attributes, &upper)),
        }
    };
    containers.iter().filter_map(one).collect()
}

fn interfaces(places: &Places, pods: &[Arc<Pod>]) -> Vec<Option<Vec<Interface>>> {
    let pin = |pod: &Arc<Pod>| pod.own_network().then(|| pod.record.pin(&places.pod_run(pod.id()), "net"));
    stats::interfaces_of_pods(pods.iter().map(pin).collect())
}

/// Reads the ready ones of these pods, with their containers.
pub(super) fn pods_now(usage: &Usage, pods: &[Arc<Pod>]) -> Vec<cri::PodSandboxStats> {
    let ready: Vec<Arc<Pod>> = pods.iter().filter(|p| p.is_ready()).cloned().collect();
    let networks = interfaces(&usage.machine.places, &ready);
    let all = usage.objects.containers.all();
    let one = |(pod, network): (&Arc<Pod>, Option<Vec<Interface>>)| {
        let record = &pod.record;
        let attributes = cri::PodSandboxAttributes {
            id: record.id.to_string(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        };
        let own: Vec<_> = all.iter().filter(|c| c.record().pod_id == record.id).cloned().collect();
        let network = network.map(|n| stats::network_usage(&n));
        usage.stats.pod(attributes, &record.cgroup, network, containers_now(usage, &own))
    };
    ready.iter().zip(networks).filter_map(one).collect()
}

/// Reads the metrics of these pods and their running containers.
pub(super) fn metrics_now(usage: &Usage, ready: &[Arc<Pod>]) -> Vec<cri::PodSandboxMetrics> {
    let networks = interfaces(&usage.machine.places, ready);
    let all = usage.objects.containers.all();
    let one = |(pod, network): (&Arc<Pod>, &Option<Vec<Interface>>)| {
        let metadata = pod.record.config.metadata.clone().unwrap_or_default();
        let subject = PodSubject {
            id: pod.id(),
            name: &metadata.name,
            namespace: &metadata.namespace,
            cgroup: &pod.record.cgroup,
            network: network.as_deref(),
        };
        let running = running(&usage.machine.places, &all, pod.id());
        let subjects: Vec<ContainerSubject<'_>> = running.iter().map(Running::subject).collect();
        usage.stats.metrics(&subject, &subjects)
    };
    ready.iter().zip(&networks).map(one).collect()
}

/// A running container with everything that its subject borrows.
struct Running {
    record: Arc<container::Record>,
    upper: PathBuf,
    pid: u32,
    started_at: i64,
}

fn running(places: &Places, all: &[Arc<Container>], pod_id: &PodId) -> Vec<Running> {
    let one = |container: &Arc<Container>| {
        let record = container.record();
        match container.state() {
            State::Running { process, started_at, .. } if record.pod_id == *pod_id => {
                let pid = process.map_or(0, |process| process.pid());
                Some(Running { upper: upper(places, &record.id), record, pid, started_at })
            }
            _ => None,
        }
    };
    all.iter().filter_map(one).collect()
}

impl Running {
    fn subject(&self) -> ContainerSubject<'_> {
        let config = &self.record.config;
        ContainerSubject {
            id: &self.record.id,
            name: config.metadata.as_ref().map(|m| m.name.as_str()).unwrap_or_default(),
            image: &self.record.image.name,
            cgroup: &self.record.cgroup,
            upper: &self.upper,
            pid: self.pid,
            started_at_ns: self.started_at,
            resources: config.linux.as_ref().and_then(|l| l.resources.as_ref()),
        }
    }
}
