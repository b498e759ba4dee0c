// SPDX-License-Identifier: Apache-2.0
//! Latency of the calls that kubelet makes all the time.

use super::pods::Pods;
use super::summary::Times;
use gorae_proto::cri::{
    ContainerStatusRequest, ImageFsInfoRequest, ListContainerStatsRequest, ListContainersRequest, ListImagesRequest,
    ListPodSandboxMetricsRequest, ListPodSandboxRequest, ListPodSandboxStatsRequest, PodSandboxStatusRequest,
    StatusRequest, VersionRequest,
};
use std::time::Instant;
use tonic::{Code, Status};

/// One call's times, or the code that the runtime refuses it with.
pub type Outcome = (&'static str, Result<Times, Code>);

/// Makes every call `count` times.
pub async fn measure(pods: &Pods<'_>, pod: &str, container: &str, count: usize) -> Vec<Outcome> {
    let cri = pods.target.cri();
    let (runtime, images) = (|| cri.runtime(), || cri.images());
    let pod_status = || PodSandboxStatusRequest { pod_sandbox_id: pod.to_owned(), verbose: false };
    let status = || ContainerStatusRequest { container_id: container.to_owned(), verbose: false };
    vec![
        time("Version", count, async || runtime().version(VersionRequest::default()).await.map(drop)).await,
        time("Status", count, async || runtime().status(StatusRequest::default()).await.map(drop)).await,
        time("ListPodSandbox", count, async || {
            runtime().list_pod_sandbox(ListPodSandboxRequest::default()).await.map(drop)
        })
        .await,
        time("ListContainers", count, async || {
            runtime().list_containers(ListContainersRequest::default()).await.map(drop)
        })
        .await,
        time("ListContainerStats", count, async || {
            runtime().list_container_stats(ListContainerStatsRequest::default()).await.map(drop)
        })
        .await,
        time("ListPodSandboxStats", count, async || {
            runtime().list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.map(drop)
        })
        .await,
        time("ListPodSandboxMetrics", count, async || {
            runtime().list_pod_sandbox_metrics(ListPodSandboxMetricsRequest::default()).await.map(drop)
        })
        .await,
        time("PodSandboxStatus", count, async || runtime().pod_sandbox_status(pod_status()).await.map(drop)).await,
        time("ContainerStatus", count, async || runtime().container_status(status()).await.map(drop)).await,
        time("ListImages", count, async || images().list_images(ListImagesRequest::default()).await.map(drop)).await,
        time("ImageFsInfo", count, async || images().image_fs_info(ImageFsInfoRequest {}).await.map(drop)).await,
        time("ExecSync", count, async || {
            pods.exec(container).await.map_err(|e| e.downcast::<Status>().unwrap_or_else(|_| Status::unknown("")))
        })
        .await,
    ]
}

/// Makes one call `count` times, after one that does not count.
pub async fn time(name: &'static str, count: usize, call: impl AsyncFn() -> Result<(), Status>) -> Outcome {
    let mut times = Times::default();
    for i in 0..=count {
        let begun = Instant::now();
        if let Err(status) = call().await {
            return (name, Err(status.code()));
        }
        if i > 0 {
            times.add(begun.elapsed());
        }
    }
    (name, Ok(times))
}
