// SPDX-License-Identifier: Apache-2.0
//! Ids that nothing has, or that two things have.

use crate::code;
use gorae_proto::cri::*;
use gorae_tests::{Container, TINY, on_a_node};
use tonic::Code;

const UNKNOWN: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

/// Every call that takes a container's id and must know it.
async fn container_calls(
    rt: &mut runtime_service_client::RuntimeServiceClient<tonic::transport::Channel>,
    id: &str,
) -> Vec<(&'static str, Code)> {
    let id = || id.to_owned();
    vec![
        (
            "ContainerStatus",
            code(rt.container_status(ContainerStatusRequest { container_id: id(), verbose: false }).await),
        ),
        ("StartContainer", code(rt.start_container(StartContainerRequest { container_id: id() }).await)),
        (
            "ExecSync",
            code(rt.exec_sync(ExecSyncRequest { container_id: id(), cmd: vec!["true".into()], timeout: 1 }).await),
        ),
        (
            "Exec",
            code(
                rt.exec(ExecRequest {
                    container_id: id(),
                    cmd: vec!["true".into()],
                    stdout: true,
                    ..Default::default()
                })
                .await,
            ),
        ),
        ("Attach", code(rt.attach(AttachRequest { container_id: id(), stdout: true, ..Default::default() }).await)),
        ("ReopenContainerLog", code(rt.reopen_container_log(ReopenContainerLogRequest { container_id: id() }).await)),
        ("ContainerStats", code(rt.container_stats(ContainerStatsRequest { container_id: id() }).await)),
        (
            "UpdateContainerResources",
            code(
                rt.update_container_resources(UpdateContainerResourcesRequest {
                    container_id: id(),
                    ..Default::default()
                })
                .await,
            ),
        ),
    ]
}

#[test]
fn an_unknown_container_is_not_found_where_it_must_be_known() {
    on_a_node(async |node| {
        for (call, code) in container_calls(&mut node.cri().runtime(), UNKNOWN).await {
            assert_eq!(code, Code::NotFound, "{call}");
        }
        let mut rt = node.cri().runtime();
        rt.stop_container(StopContainerRequest { container_id: UNKNOWN.into(), timeout: 0 }).await.unwrap();
        rt.remove_container(RemoveContainerRequest { container_id: UNKNOWN.into() }).await.unwrap();
    });
}

/// Every call that takes a pod's id and must know it.
async fn pod_calls(
    rt: &mut runtime_service_client::RuntimeServiceClient<tonic::transport::Channel>,
    id: &str,
) -> Vec<(&'static str, Code)> {
    let pod_sandbox_id = || id.to_owned();
    let status = PodSandboxStatusRequest { pod_sandbox_id: pod_sandbox_id(), verbose: false };
    let forward = PortForwardRequest { pod_sandbox_id: pod_sandbox_id(), port: vec![80] };
    let stats = PodSandboxStatsRequest { pod_sandbox_id: pod_sandbox_id() };
    let update = UpdatePodSandboxResourcesRequest { pod_sandbox_id: pod_sandbox_id(), ..Default::default() };
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "c".into(), attempt: 0 }),
        image: Some(ImageSpec { image: TINY.into(), ..Default::default() }),
        ..Default::default()
    };
    let create = CreateContainerRequest {
        pod_sandbox_id: pod_sandbox_id(),
        config: Some(config),
        sandbox_config: Some(PodSandboxConfig::default()),
    };
    vec![
        ("PodSandboxStatus", code(rt.pod_sandbox_status(status).await)),
        ("PortForward", code(rt.port_forward(forward).await)),
        ("PodSandboxStats", code(rt.pod_sandbox_stats(stats).await)),
        ("UpdatePodSandboxResources", code(rt.update_pod_sandbox_resources(update).await)),
        ("CreateContainer", code(rt.create_container(create).await)),
    ]
}

#[test]
fn an_unknown_pod_is_not_found_where_it_must_be_known() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        for (call, code) in pod_calls(&mut rt, UNKNOWN).await {
            assert_eq!(code, Code::NotFound, "{call}");
        }
        let id = || UNKNOWN.to_owned();
        rt.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id() }).await.unwrap();
        rt.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id() }).await.unwrap();
    });
}

#[test]
fn an_empty_id_is_an_invalid_argument() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        for (call, code) in [container_calls(&mut rt, "").await, pod_calls(&mut rt, "").await].concat() {
            assert_eq!(code, Code::InvalidArgument, "{call}");
        }
        assert_eq!(code(rt.stop_container(StopContainerRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.remove_container(RemoveContainerRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.stop_pod_sandbox(StopPodSandboxRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.remove_pod_sandbox(RemovePodSandboxRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.run_pod_sandbox(RunPodSandboxRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.create_container(CreateContainerRequest::default()).await), Code::InvalidArgument);
    });
}

#[test]
fn a_prefix_of_one_id_is_enough_and_a_prefix_of_two_is_refused() {
    on_a_node(async |node| {
        let mut pods = Vec::new();
        // 17 ids: two of them begin with the same digit.
        for i in 0..17 {
            pods.push(node.pod(&format!("p{i}")).run().await);
        }
        let shared =
            pods.iter().find(|p| pods.iter().filter(|q| q.id()[..1] == p.id()[..1]).count() > 1).expect("17 > 16");
        let mut rt = node.cri().runtime();
        let ask = |id: &str| PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        let found = rt.pod_sandbox_status(ask(&shared.id()[..32])).await.unwrap().into_inner();
        assert_eq!(found.status.unwrap().id, shared.id());
        assert_eq!(code(rt.pod_sandbox_status(ask(&shared.id()[..1])).await), Code::InvalidArgument);
        let remove = RemovePodSandboxRequest { pod_sandbox_id: shared.id()[..1].to_owned() };
        assert_eq!(code(rt.remove_pod_sandbox(remove).await), Code::InvalidArgument);
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 17);
    });
}

#[test]
fn a_prefix_of_two_containers_stops_and_removes_neither() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("prefix").run().await;
        let mut containers = Vec::new();
        for i in 0..17 {
            containers
                .push(pod.container(&format!("c{i}")).image(TINY).args(["sleep"]).create_as_it_is().await.unwrap());
        }
        let first = |c: &Container| c.id()[..1].to_owned();
        let shared = containers
            .iter()
            .find(|c| containers.iter().filter(|d| first(c) == first(d)).count() > 1)
            .expect("17 > 16");
        shared.start().await;
        let (mut rt, prefix) = (node.cri().runtime(), first(shared));
        let stop = StopContainerRequest { container_id: prefix.clone(), timeout: 0 };
        assert_eq!(code(rt.stop_container(stop).await), Code::InvalidArgument);
        assert_eq!(
            code(rt.remove_container(RemoveContainerRequest { container_id: prefix }).await),
            Code::InvalidArgument
        );
        assert_eq!(shared.status().await.state(), ContainerState::ContainerRunning);
        assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 17);
        let stop = StopContainerRequest { container_id: shared.id()[..32].to_owned(), timeout: 0 };
        rt.stop_container(stop).await.unwrap();
        assert_eq!(shared.status().await.state(), ContainerState::ContainerExited);
    });
}
