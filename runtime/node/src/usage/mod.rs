// SPDX-License-Identifier: Apache-2.0
//! Stats and metrics RPCs: picks the pods and containers, and makes [`gorae_stats`] read them in one blocking task.
//!
//! Objects that vanish while a list is read are left out. Nothing here calls a shim or takes a verb's lock.

mod parallel;
mod reader;
mod subjects;

pub use reader::Usage;

use crate::container::{self, Container};
use crate::error::{Error, Kind, Result};
use crate::ids;
use crate::pod::{self, Pod};
use gorae_proto::cri;
use std::sync::Arc;
use subjects::{containers_now, metrics_now, pods_now};

/// Reads one container.
///
/// # Errors
/// `NotFound` when it was removed in the meantime, `Internal` when the reading task was interrupted.
pub async fn container(usage: Arc<Usage>, container: Arc<Container>) -> Result<cri::ContainerStats> {
    let id = container.record().id.clone();
    let mut all = in_one_task(move || containers_now(&usage, &[container])).await?;
    all.pop().ok_or_else(|| Error::not_found(format!("container {} is gone", ids::short(&id))))
}

/// Reads the containers that pass the filter; stopped ones show only their writable layer.
///
/// # Errors
/// `Internal` when the reading task was interrupted.
pub async fn containers(usage: Arc<Usage>, filter: cri::ContainerStatsFilter) -> Result<Vec<cri::ContainerStats>> {
    let filter = cri::ContainerFilter {
        id: filter.id,
        pod_sandbox_id: filter.pod_sandbox_id,
        label_selector: filter.label_selector,
        state: None,
    };
    let mut all = usage.objects.containers.all();
    all.retain(|c| container::view::matches(c, &filter));
    in_one_task(move || parallel::read(&all, |part| containers_now(&usage, part))).await
}

/// Reads one pod.
///
/// # Errors
/// `Unavailable` when the pod is not ready or its cgroup is gone.
pub async fn pod(usage: Arc<Usage>, pod: Arc<Pod>) -> Result<cri::PodSandboxStats> {
    let id = pod.id().clone();
    let mut all = in_one_task(move || pods_now(&usage, &[pod])).await?;
    all.pop().ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("pod {} is not ready: it has no usage statistics", ids::short(&id)))
    })
}

/// Reads the ready pods that pass the filter.
///
/// # Errors
/// `Internal` when the reading task was interrupted.
pub async fn pods(usage: Arc<Usage>, filter: cri::PodSandboxStatsFilter) -> Result<Vec<cri::PodSandboxStats>> {
    let filter = cri::PodSandboxFilter { id: filter.id, label_selector: filter.label_selector, state: None };
    let mut all = usage.objects.pods.all();
    all.retain(|p| pod::view::matches(p, &filter));
    in_one_task(move || parallel::read(&all, |part| pods_now(&usage, part))).await
}

/// Reads the metrics of all ready pods.
///
/// # Errors
/// `Internal` when the reading task was interrupted.
pub async fn metrics(usage: Arc<Usage>) -> Result<Vec<cri::PodSandboxMetrics>> {
    let ready: Vec<Arc<Pod>> = usage.objects.pods.all().into_iter().filter(|p| p.is_ready()).collect();
    in_one_task(move || parallel::read(&ready, |part| metrics_now(&usage, part))).await
}

async fn in_one_task<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let task = tokio::task::spawn_blocking(read).await;
    task.map_err(|e| Error::internal(format!("reading usage statistics was interrupted: {e}")))
}
