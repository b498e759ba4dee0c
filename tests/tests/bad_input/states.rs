// SPDX-License-Identifier: Apache-2.0
//! Requests that come at the wrong time, or about what is not there.

use crate::code;
use gorae_proto::cri::*;
use gorae_tests::{BUSYBOX, TINY, on_a_node, testing};
use tonic::Code;

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
    testing::on_a_node_with("[mounts]\nmissing_host_path = \"refuse\"\n", async |node| {
        let pod = node.pod("mount").run().await;
        let builder = pod.container("c").image(TINY).mount("/no/such/source".as_ref(), "/data");
        let error = builder.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert_eq!(error.code(), Code::NotFound, "{error:?}");
        assert!(error.message().contains("/no/such/source") && error.message().contains("/data"), "{error:?}");
        assert!(!std::path::Path::new("/no/such").exists(), "the host is left as it was");
    });
}

#[test]
fn a_mount_whose_source_can_not_be_made_is_told_with_its_path() {
    on_a_node(async |node| {
        let host = node.directory("sources");
        std::fs::write(host.join("file"), "in the way").unwrap();
        std::os::unix::fs::symlink("nowhere", host.join("link")).unwrap();
        let pod = node.pod("mount").run().await;
        for (name, path) in [("file", "file/below"), ("link", "link"), ("below", "link/below")] {
            let builder = pod.container(name).image(TINY).mount(&host.join(path), "/data");
            let error = builder.try_create().await.map(|c| c.id().to_owned()).expect_err(path);
            assert!(error.message().contains(path) && error.message().contains("/data"), "{error:?}");
        }
        assert!(!host.join("nowhere").exists(), "a link to nothing is left as it is");
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

/// The most streaming URLs that wait for their clients.
const WAITING: usize = 1000;

#[test]
fn streams_that_cannot_be_take_no_place_and_the_one_too_many_is_told_so() {
    on_a_node(async |node| {
        let pod = node.pod("waiting").run().await;
        let ended = pod.container("ended").image(TINY).args(["exit", "0"]).start().await;
        ended.ended().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let mut rt = node.cri().runtime();
        let exec = |id: &str| ExecRequest {
            container_id: id.to_owned(),
            cmd: vec!["/tiny".into(), "true".into()],
            stdout: true,
            ..Default::default()
        };
        let attach =
            |id: &str, tty| AttachRequest { container_id: id.to_owned(), stdout: true, tty, ..Default::default() };
        let forward = PortForwardRequest { pod_sandbox_id: "9".repeat(64), port: vec![80] };
        for _ in 0..WAITING / 4 {
            assert_eq!(code(rt.exec(exec(ended.id())).await), Code::FailedPrecondition);
            assert_eq!(code(rt.attach(attach(ended.id(), false)).await), Code::FailedPrecondition);
            assert_eq!(
                code(rt.attach(attach(container.id(), true)).await),
                Code::InvalidArgument,
                "it has no terminal"
            );
            assert_eq!(code(rt.port_forward(forward.clone()).await), Code::NotFound);
        }
        for _ in 0..WAITING {
            rt.exec(exec(container.id())).await.unwrap();
        }
        assert_eq!(code(rt.exec(exec(container.id())).await), Code::ResourceExhausted);
        assert_eq!(code(rt.attach(attach(container.id(), false)).await), Code::ResourceExhausted);
    });
}

#[test]
fn what_is_not_done_yet_says_so() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        let answer = rt.checkpoint_pod(CheckpointPodRequest::default()).await;
        assert_eq!(code(answer), Code::Unimplemented);
        let refused = rt.checkpoint_container(CheckpointContainerRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        // Kubernetes' suite looks for the whole sentence, up to the end, and skips.
        assert_eq!(refused.message(), "method CheckpointContainer not implemented");
        let answer = rt.restore_pod(RestorePodRequest::default()).await;
        assert_eq!(code(answer), Code::Unimplemented);
    });
}
