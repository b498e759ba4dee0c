// SPDX-License-Identifier: Apache-2.0
//! Stats and metrics RPCs: picks the pods and containers, has [`crate::stats`] read them in one blocking task.
//!
//! A list costs some twenty files of the kernel for each object, and nothing else: several threads read a long one, so
//! that it takes the client, who waits, a fraction of the time.
//!
//! Objects that vanish while a list is read are left out; nothing here asks a shim or takes a verb's lock.

use crate::container::{self, Container, State};
use crate::error::{Error, Kind, Result};
use crate::ids::{self, ContainerId, PodId};
use crate::node::Node;
use crate::pod::Pod;
use gorae_proto::cri;
use gorae_stats::{self as stats, ContainerSubject, Interface, PodSubject};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::thread;

/// Most threads that read one list, and the fewest objects that are worth a thread of their own.
const MOST_READERS: usize = 4;
const FEWEST_OBJECTS: usize = 8;
/// Asked once: to tell them the standard library reads files of the cgroup.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

/// Reads one container.
///
/// # Errors
/// `NotFound` when it went away in the middle, `Internal` when the reading task was cut off.
pub async fn container(node: Arc<Node>, container: Arc<Container>) -> Result<cri::ContainerStats> {
    let id = container.record().id.clone();
    let mut all = blocking(move || containers_now(&node, &[container])).await?;
    all.pop().ok_or_else(|| Error::not_found(format!("container {} is gone", ids::short(&id))))
}

/// Reads the containers that the filter lets through; stopped ones show only their writable layer.
///
/// # Errors
/// `Internal` when the reading task was cut off.
pub async fn containers(node: Arc<Node>, filter: cri::ContainerStatsFilter) -> Result<Vec<cri::ContainerStats>> {
    let filter = cri::ContainerFilter {
        id: filter.id,
        pod_sandbox_id: filter.pod_sandbox_id,
        label_selector: filter.label_selector,
        state: None,
    };
    let mut all = node.objects.containers.all();
    all.retain(|c| container::view::matches(c, &filter));
    blocking(move || side_by_side(&all, |part| containers_now(&node, part))).await
}

/// Reads one pod.
///
/// # Errors
/// `Unavailable` when the pod is not ready or its cgroup is gone.
pub async fn pod(node: Arc<Node>, pod: Arc<Pod>) -> Result<cri::PodSandboxStats> {
    let id = pod.id().clone();
    let mut all = blocking(move || pods_now(&node, &[pod])).await?;
    all.pop().ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("pod {} is not ready: it has no usage numbers", ids::short(&id)))
    })
}

/// Reads the ready pods that the filter lets through.
///
/// # Errors
/// `Internal` when the reading task was cut off.
pub async fn pods(node: Arc<Node>, filter: cri::PodSandboxStatsFilter) -> Result<Vec<cri::PodSandboxStats>> {
    let filter = cri::PodSandboxFilter { id: filter.id, label_selector: filter.label_selector, state: None };
    let mut all = node.objects.pods.all();
    all.retain(|p| crate::pod::view::matches(p, &filter));
    blocking(move || side_by_side(&all, |part| pods_now(&node, part))).await
}

/// Reads the metrics of all ready pods.
///
/// # Errors
/// `Internal` when the reading task was cut off.
pub async fn metrics(node: Arc<Node>) -> Result<Vec<cri::PodSandboxMetrics>> {
    let ready: Vec<Arc<Pod>> = node.objects.pods.all().into_iter().filter(|p| p.is_ready()).collect();
    blocking(move || side_by_side(&ready, |part| metrics_now(&node, part))).await
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let task = tokio::task::spawn_blocking(read).await;
    task.map_err(|e| Error::internal(format!("reading usage numbers was cut off: {e}")))
}

/// Reads the parts of a list at the same time; the answer is in the list's order. A thread that cannot be had costs
/// time and nothing else.
fn side_by_side<T: Sync, R: Send>(list: &[T], read: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let readers = (*PROCESSORS).min(MOST_READERS).min(list.len() / FEWEST_OBJECTS).max(1);
    let mut parts = list.chunks(list.len().div_ceil(readers).max(1));
    let Some(first) = parts.next() else { return Vec::new() };
    let read = &read;
    thread::scope(|scope| {
        let spawn = |part| {
            let named = thread::Builder::new().name("usage".into()).stack_size(256 << 10);
            (part, named.spawn_scoped(scope, move || read(part)))
        };
        let others: Vec<_> = parts.map(spawn).collect();
        let mut all = read(first);
        for (part, other) in others {
            all.extend(match other.map(thread::ScopedJoinHandle::join) {
                Ok(answer) => answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => read(part),
            });
        }
        all
    })
}

fn upper(node: &Node, id: &ContainerId) -> PathBuf {
    node.machine.places.container_root(id).join("upper")
}

fn containers_now(node: &Node, containers: &[Arc<Container>]) -> Vec<cri::ContainerStats> {
    let one = |container: &Arc<Container>| {
        let record = container.record();
        let attributes = cri::ContainerAttributes {
            id: record.id.to_string(),
            metadata: record.config.metadata.clone(),
            labels: record.config.labels.clone(),
            annotations: record.config.annotations.clone(),
        };
        let upper = upper(node, &record.id);
        match container.state() {
            State::Running { .. } => node.stats.container(attributes, &record.cgroup, &upper),
            _ => Some(node.stats.stopped_container(attributes, &upper)),
        }
    };
    containers.iter().filter_map(one).collect()
}

fn interfaces(node: &Node, pods: &[Arc<Pod>]) -> Vec<Option<Vec<Interface>>> {
    let pin = |pod: &Arc<Pod>| pod.own_network().then(|| node.machine.places.pod_run(pod.id()).join("ns/net"));
    stats::interfaces_of_pods(pods.iter().map(pin).collect())
}

fn pods_now(node: &Node, pods: &[Arc<Pod>]) -> Vec<cri::PodSandboxStats> {
    let ready: Vec<Arc<Pod>> = pods.iter().filter(|p| p.is_ready()).cloned().collect();
    let networks = interfaces(node, &ready);
    let all = node.objects.containers.all();
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
        node.stats.pod(attributes, &record.cgroup, network, containers_now(node, &own))
    };
    ready.iter().zip(networks).filter_map(one).collect()
}

fn metrics_now(node: &Node, ready: &[Arc<Pod>]) -> Vec<cri::PodSandboxMetrics> {
    let networks = interfaces(node, ready);
    let all = node.objects.containers.all();
    let one = |(pod, network): (&Arc<Pod>, &Option<Vec<Interface>>)| {
        let metadata = pod.record.config.metadata.clone().unwrap_or_default();
        let subject = PodSubject {
            id: pod.id(),
            name: &metadata.name,
            namespace: &metadata.namespace,
            cgroup: &pod.record.cgroup,
            network: network.as_deref(),
        };
        let running = running(node, &all, pod.id());
        let subjects: Vec<ContainerSubject<'_>> = running.iter().map(Running::subject).collect();
        node.stats.metrics(&subject, &subjects)
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

fn running(node: &Node, all: &[Arc<Container>], pod_id: &PodId) -> Vec<Running> {
    let one = |container: &Arc<Container>| {
        let record = container.record();
        match container.state() {
            State::Running { process, started_at, .. } if record.pod_id == *pod_id => {
                Some(Running { upper: upper(node, &record.id), record, pid: process.pid, started_at })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Mutex;

    #[test]
    fn a_list_of_any_length_is_read_once_and_in_its_order_by_few_threads() {
        for length in [0, 1, FEWEST_OBJECTS, 2 * FEWEST_OBJECTS, 50, 1000] {
            let list: Vec<usize> = (0..length).collect();
            let readers = Mutex::new(HashSet::new());
            let read = side_by_side(&list, |part| {
                readers.lock().expect("whole").insert(thread::current().id());
                part.to_vec()
            });
            assert_eq!(read, list);
            let readers = readers.into_inner().expect("whole").len();
            let expected = (*PROCESSORS).min(MOST_READERS).min(length / FEWEST_OBJECTS).max(length.min(1));
            assert_eq!(readers, expected, "for {length}");
        }
    }
}
