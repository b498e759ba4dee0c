// SPDX-License-Identifier: Apache-2.0
//! Fields that say which object a request is about, and fields that come back as they were sent.

use gorae_proto::cri::*;
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{TINY, on_a_node};

#[test]
fn each_part_of_a_pods_identity_makes_another_pod() {
    on_a_node(async |node| {
        let mut ids = Vec::new();
        type Change = fn(&mut PodSandboxMetadata);
        let changes: [Change; 5] = [
            |_| {},
            |m| m.name = "other".into(),
            |m| m.uid = "other".into(),
            |m| m.namespace = "other".into(),
            |m| m.attempt = 1,
        ];
        for change in changes {
            let pod = node.pod("same").with(|c| change(c.metadata.as_mut().expect("set"))).run().await;
            assert_eq!(pod.status().await.metadata, pod.config().metadata);
            ids.push(pod.id().to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    });
}

#[test]
fn a_runtime_handler_is_told_as_it_was_asked_for() {
    on_a_node(async |node| {
        for (name, handler) in [("default", ""), ("named", "gorae")] {
            let pod = node.pod(name).handler(handler).run().await;
            assert_eq!(pod.status().await.runtime_handler, handler);
            let listed = node.cri().list_pods().await.unwrap().into_iter().find(|p| p.id == pod.id());
            assert_eq!(listed.expect("listed").runtime_handler, handler);
        }
    });
}

#[test]
fn further_handlers_are_those_that_are_configured_and_each_runs_pods() {
    let config = "[runtimes.runc]\nkind = \"native\"\n[runtimes.crun]\nkind = \"native\"\n";
    on_a_node_with(config, async |node| {
        let status = node.cri().runtime().status(StatusRequest::default()).await.unwrap().into_inner();
        let (names, features): (Vec<_>, Vec<_>) =
            status.runtime_handlers.into_iter().map(|handler| (handler.name, handler.features)).unzip();
        assert_eq!(names, ["", "gorae", "crun", "runc"]);
        assert!(features.iter().all(|of| of.is_some() && *of == features[0]), "{features:?}");
        let pod = node.pod("runc").handler("runc").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        node.kill_and_restart().await;
        assert_eq!(pod.status().await.runtime_handler, "runc");
        assert_eq!(container.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        let refused = node.pod("kata").handler("kata").try_run().await.map(|p| p.id().to_owned()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(
            refused.message().contains("\"kata\"") && refused.message().contains("gorae, crun, runc"),
            "{refused:?}"
        );
    });
}

#[test]
fn a_container_keeps_its_metadata_labels_annotations_and_image_as_asked() {
    on_a_node(async |node| {
        let id = node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("kept").run().await;
        let annotations = [("note".to_owned(), "line 1\nline 2".to_owned())];
        let builder = pod.container("c").label("app", "web").with(|c| {
            c.metadata.as_mut().expect("set").attempt = 3;
            c.annotations.extend(annotations.clone());
            c.image = Some(ImageSpec {
                image: id.clone(),
                user_specified_image: "as/the/user:wrote".into(),
                annotations: [("hint".to_owned(), "x".to_owned())].into(),
                image_ref: "said by the client".into(),
                ..Default::default()
            });
        });
        let container = builder.create().await;
        let status = container.status().await;
        let metadata = status.metadata.clone().expect("metadata");
        assert_eq!((metadata.name.as_str(), metadata.attempt), ("c", 3));
        assert_eq!((status.labels.len(), status.annotations.clone()), (1, annotations.clone().into()));
        let image = status.image.expect("image");
        assert_eq!(image.user_specified_image, "as/the/user:wrote");
        assert_eq!(image.annotations.get("hint").map(String::as_str), Some("x"));
        assert_eq!((status.image_id, image.image.as_str()), (id, TINY));
        let listed = node.cri().list_containers(None).await.unwrap().remove(0);
        assert_eq!((listed.metadata, listed.annotations), (status.metadata, status.annotations));
    });
}

#[test]
fn verbose_answers_have_more_and_plain_ones_have_nothing_more() {
    on_a_node(async |node| {
        let pod = node.pod("verbose").run().await;
        let container = pod.container("c").image(TINY).create().await;
        let (mut rt, mut images) = (node.cri().runtime(), node.cri().images());
        for verbose in [true, false] {
            let pod_sandbox_id = pod.id().to_owned();
            let of_pod = rt.pod_sandbox_status(PodSandboxStatusRequest { pod_sandbox_id, verbose }).await.unwrap();
            let container_id = container.id().to_owned();
            let of_container = rt.container_status(ContainerStatusRequest { container_id, verbose }).await.unwrap();
            let image = Some(gorae_tests::cri::spec(TINY));
            let of_image = images.image_status(ImageStatusRequest { image, verbose }).await.unwrap();
            let of_node = rt.status(StatusRequest { verbose }).await.unwrap();
            let infos = [
                of_pod.into_inner().info.contains_key("info"),
                of_container.into_inner().info.contains_key("info"),
                of_image.into_inner().info.contains_key("info"),
                of_node.into_inner().info.contains_key("config"),
            ];
            assert_eq!(infos, [verbose; 4]);
        }
    });
}

#[test]
fn what_is_for_windows_changes_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("windows").with(|c| c.windows = Some(WindowsPodSandboxConfig::default())).run().await;
        let resources = WindowsContainerResources { cpu_maximum: 1, memory_limit_in_bytes: 1, ..Default::default() };
        let windows = WindowsContainerConfig { resources: Some(resources.clone()), ..Default::default() };
        let container = pod.container("c").image(TINY).with(|c| c.windows = Some(windows)).start().await;
        let update = UpdateContainerResourcesRequest {
            container_id: container.id().to_owned(),
            windows: Some(resources),
            annotations: [("note".to_owned(), "free".to_owned())].into(),
            ..Default::default()
        };
        node.cri().runtime().update_container_resources(update).await.unwrap();
        assert!(container.status().await.resources.expect("resources").windows.is_none());
    });
}
