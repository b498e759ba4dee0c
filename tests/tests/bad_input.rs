// SPDX-License-Identifier: Apache-2.0
//! Wrong requests: the right code, a sentence with the object in it, and nothing half-made.

use gorae_proto::cri::*;
use gorae_tests::{BUSYBOX, TINY, on_a_node};
use tonic::Code;

const UNKNOWN: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

/// The code of a failed call, for calls that must fail.
fn code<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> Code {
    let status = answer.expect_err("the call must fail");
    assert!(!status.message().is_empty(), "an error without words: {status:?}");
    status.code()
}

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

#[test]
fn an_unknown_pod_is_not_found_where_it_must_be_known() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        let id = || UNKNOWN.to_owned();
        let status = PodSandboxStatusRequest { pod_sandbox_id: id(), verbose: false };
        assert_eq!(code(rt.pod_sandbox_status(status).await), Code::NotFound);
        let forward = PortForwardRequest { pod_sandbox_id: id(), port: vec![80] };
        assert_eq!(code(rt.port_forward(forward).await), Code::NotFound);
        assert_eq!(code(rt.pod_sandbox_stats(PodSandboxStatsRequest { pod_sandbox_id: id() }).await), Code::NotFound);
        let create = CreateContainerRequest {
            pod_sandbox_id: id(),
            config: Some(ContainerConfig {
                metadata: Some(ContainerMetadata { name: "c".into(), attempt: 0 }),
                image: Some(ImageSpec { image: TINY.into(), ..Default::default() }),
                ..Default::default()
            }),
            sandbox_config: Some(PodSandboxConfig::default()),
        };
        assert_eq!(code(rt.create_container(create).await), Code::NotFound);
        rt.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id() }).await.unwrap();
        rt.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id() }).await.unwrap();
    });
}

#[test]
fn an_empty_id_is_an_invalid_argument() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        for (call, code) in container_calls(&mut rt, "").await {
            assert_eq!(code, Code::InvalidArgument, "{call}");
        }
        assert_eq!(code(rt.stop_container(StopContainerRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.remove_container(RemoveContainerRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.stop_pod_sandbox(StopPodSandboxRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.remove_pod_sandbox(RemovePodSandboxRequest::default()).await), Code::InvalidArgument);
        assert_eq!(code(rt.pod_sandbox_status(PodSandboxStatusRequest::default()).await), Code::InvalidArgument);
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
fn no_container_is_created_in_a_stopped_pod() {
    on_a_node(async |node| {
        let pod = node.pod("stopped").run().await;
        pod.stop().await;
        let answer = pod.container("c").image(TINY).try_create().await;
        assert_eq!(code(answer), Code::FailedPrecondition);
        assert!(node.cri().list_containers(None).await.unwrap().is_empty());
    });
}

#[test]
fn a_container_is_started_once() {
    on_a_node(async |node| {
        let pod = node.pod("twice").run().await;
        let container = pod.container("c").image(TINY).start().await;
        assert_eq!(code(container.try_start().await), Code::FailedPrecondition);
        container.stop(5).await;
        assert_eq!(code(container.try_start().await), Code::FailedPrecondition);
    });
}

#[test]
fn a_command_that_is_not_there_ends_the_container_with_the_reason() {
    on_a_node(async |node| {
        let pod = node.pod("absent").run().await;
        for (name, command) in
            [("none", "/no/such/program"), ("path", "no-such-program"), ("directory", "/etc"), ("text", "/etc/passwd")]
        {
            let container = pod.container(name).image(BUSYBOX).command([command]).create().await;
            let error = container.try_start().await.unwrap_err();
            assert!(error.message().contains(command), "{error:?}");
            let status = container.status().await;
            assert_eq!(status.state(), ContainerState::ContainerExited);
            assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"));
            assert!(status.message.contains(command) && status.finished_at > 0, "{status:?}");
        }
    });
}

#[test]
fn an_image_that_is_not_there_is_not_found() {
    on_a_node(async |node| {
        let pod = node.pod("image").run().await;
        let answer = pod.container("c").image("images.gorae.test/gorae/absent:1").create_as_it_is().await.unwrap_err();
        assert_eq!(answer.code(), Code::NotFound, "{answer:?}");
        assert!(answer.message().contains("gorae/absent:1"), "{answer:?}");
        assert!(node.cri().list_containers(None).await.unwrap().is_empty());
    });
}

#[test]
fn a_mount_whose_source_is_missing_is_told_with_its_path() {
    on_a_node(async |node| {
        let pod = node.pod("mount").run().await;
        let builder = pod.container("c").image(TINY).mount("/no/such/source".as_ref(), "/data");
        let error = match builder.try_create().await {
            Ok(container) => container.try_start().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.message().contains("/no/such/source"), "{error:?}");
        assert!(!std::path::Path::new("/no/such").exists(), "the host is left as it was");
    });
}

#[test]
fn a_log_directory_that_cannot_be_written_is_told() {
    on_a_node(async |node| {
        let file = node.directory("logs").join("a-file");
        std::fs::write(&file, "in the way").unwrap();
        let builder = node.pod("logs").with(|c| c.log_directory = file.join("below").display().to_string());
        let error = match builder.run_as_it_is().await {
            Err(error) => error,
            Ok(pod) => match pod.container("c").image(TINY).try_create().await {
                Err(error) => error,
                Ok(container) => container.try_start().await.unwrap_err(),
            },
        };
        assert!(error.message().contains("a-file"), "{error:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "in the way");
    });
}

#[test]
fn pods_that_contradict_themselves_are_refused() {
    on_a_node(async |node| {
        type Change = fn(&mut PodSandboxConfig);
        let wrong: [(&str, Change); 9] = [
            ("no name", |c| c.metadata.as_mut().expect("set").name.clear()),
            ("no metadata", |c| c.metadata = None),
            ("relative logs", |c| c.log_directory = "logs".into()),
            ("a port too high", |c| {
                c.port_mappings.push(PortMapping { container_port: 70_000, host_port: 1, ..Default::default() })
            }),
            ("a negative port", |c| {
                c.port_mappings.push(PortMapping { container_port: 80, host_port: -1, ..Default::default() })
            }),
            ("a climbing cgroup", |c| c.linux.as_mut().expect("set").cgroup_parent = "/../../x".into()),
            ("a slice", |c| c.linux.as_mut().expect("set").cgroup_parent = "kubepods-pod1.slice".into()),
            ("a long host name", |c| c.hostname = "x".repeat(300)),
            ("a group without a user", |c| {
                let security = c.linux.as_mut().expect("set").security_context.as_mut().expect("set");
                security.run_as_group = Some(Int64Value { value: 1 });
            }),
        ];
        for (what, change) in wrong {
            let answer = node.pod("wrong").with(change).run_as_it_is().await;
            assert_eq!(code(answer.map(|p| p.id().to_owned())), Code::InvalidArgument, "{what}");
        }
        let handler =
            node.pod("handler").handler("no-such-handler").try_run().await.map(|p| p.id().to_owned()).unwrap_err();
        assert!(handler.message().contains("no-such-handler"), "{handler:?}");
        assert!(node.cri().list_pods().await.unwrap().is_empty());
    });
}

#[test]
fn containers_that_contradict_themselves_are_refused() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        type Change = fn(&mut ContainerConfig);
        let wrong: [(&str, Change); 12] = [
            ("no name", |c| c.metadata.as_mut().expect("set").name.clear()),
            ("no metadata", |c| c.metadata = None),
            ("no image", |c| c.image = None),
            ("a relative mount", |c| c.mounts.push(mount("/tmp", "data"))),
            ("a relative source", |c| c.mounts.push(mount("tmp", "/data"))),
            ("a climbing log", |c| c.log_path = "../../log".into()),
            ("a NUL in an argument", |c| c.args = vec!["a\0b".into()]),
            ("a NUL in a variable", |c| c.envs.push(KeyValue { key: "A".into(), value: b"a\0b".to_vec() })),
            ("an = in a key", |c| c.envs.push(KeyValue { key: "A=B".into(), value: b"c".to_vec() })),
            ("a negative user", |c| security(c).run_as_user = Some(Int64Value { value: -1 })),
            ("a user too large", |c| security(c).run_as_user = Some(Int64Value { value: 1 << 32 })),
            ("a group without a user", |c| security(c).run_as_group = Some(Int64Value { value: 1 })),
        ];
        let pod = node.pod("wrong").run().await;
        for (what, change) in wrong {
            let answer = pod.container("c").image(TINY).with(change).create_as_it_is().await;
            assert_eq!(code(answer.map(|c| c.id().to_owned())), Code::InvalidArgument, "{what}");
        }
        let privileged = pod.container("p").image(TINY).security(|s| s.privileged = true).create_as_it_is().await;
        assert!(privileged.is_err(), "a privileged container in a pod that is not");
        let unknown = pod.container("u").image(TINY).security(|s| s.run_as_username = "nobody-knows".into());
        let unknown = match unknown.create_as_it_is().await {
            Ok(container) => container.try_start().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(unknown.message().contains("nobody-knows"), "{unknown:?}");
    });
}

fn mount(host: &str, container: &str) -> Mount {
    Mount { host_path: host.into(), container_path: container.into(), ..Default::default() }
}

fn security(config: &mut ContainerConfig) -> &mut LinuxContainerSecurityContext {
    config.linux.get_or_insert_default().security_context.get_or_insert_default()
}

#[test]
fn streaming_requests_that_make_no_sense_are_refused() {
    on_a_node(async |node| {
        let pod = node.pod("streams").run().await;
        let container = pod.container("c").image(TINY).start().await;
        let mut rt = node.cri().runtime();
        let exec = |tty, stderr, stdout| ExecRequest {
            container_id: container.id().to_owned(),
            cmd: vec!["/tiny".into(), "true".into()],
            tty,
            stdout,
            stderr,
            ..Default::default()
        };
        assert_eq!(
            code(rt.exec(exec(true, true, true)).await),
            Code::InvalidArgument,
            "a terminal has no standard error"
        );
        assert_eq!(code(rt.exec(exec(false, false, false)).await), Code::InvalidArgument, "no stream at all");
        let attach = AttachRequest { container_id: container.id().to_owned(), ..Default::default() };
        assert_eq!(code(rt.attach(attach).await), Code::InvalidArgument, "no stream at all");
    });
}

#[test]
fn what_is_not_done_yet_says_so() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        let answer = rt.checkpoint_pod(CheckpointPodRequest::default()).await;
        assert_eq!(code(answer), Code::Unimplemented);
    });
}
