// SPDX-License-Identifier: Apache-2.0
//! Answers: what kubelet's client throws away when it is missing, and what must be the same wherever it is told.

use gorae_proto::cri::*;
use gorae_tests::cri::spec;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_stream::StreamExt;

#[test]
fn nothing_is_missing_for_which_kubelet_throws_an_answer_away() {
    on_a_node(async |node| {
        let (mut rt, mut images) = (node.cri().runtime(), node.cri().images());
        let version = rt.version(VersionRequest::default()).await.unwrap().into_inner();
        assert_eq!((version.version.as_str(), version.runtime_api_version.as_str()), ("0.1.0", "v1"));
        assert_eq!(version.runtime_name, "gorae", "it is in the ids of running pods: it may never change");
        let numbers: Vec<_> = version.runtime_version.split('.').map(str::parse::<u32>).collect();
        assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{}", version.runtime_version);
        let status = rt.status(StatusRequest::default()).await.unwrap().into_inner().status.expect("a status");
        let kinds: Vec<_> = status.conditions.iter().map(|c| c.r#type.as_str()).collect();
        assert!(kinds.contains(&"RuntimeReady") && kinds.contains(&"NetworkReady"), "{kinds:?}");

        let image_ref = node.cri().pull(TINY).await.unwrap();
        let image = images.image_status(ImageStatusRequest { image: Some(spec(TINY)), verbose: false }).await.unwrap();
        let image = image.into_inner().image.expect("it was pulled");
        assert!(!image_ref.is_empty() && !image.id.is_empty() && image.size > 0, "{image:?}");

        let pod = node.pod("whole").run().await;
        let status = pod.status().await;
        let metadata = status.metadata.expect("metadata");
        assert!(!pod.id().is_empty() && status.id == pod.id() && status.created_at > 0);
        assert!(!metadata.name.is_empty() && !metadata.namespace.is_empty() && !metadata.uid.is_empty());

        let container = pod.container("c").image(TINY).args(["sleep"]).create().await;
        for started in [false, true] {
            let status = container.status().await;
            assert!(!container.id().is_empty() && status.id == container.id() && status.created_at > 0, "{started}");
            assert!(!status.metadata.expect("metadata").name.is_empty(), "{started}");
            assert!(!status.image.expect("image").image.is_empty() && !status.image_ref.is_empty(), "{started}");
            if !started {
                container.start().await;
            }
        }
        let container_id = || container.id().to_owned();
        let cmd = vec!["/tiny".to_owned(), "true".to_owned()];
        let exec = ExecRequest { container_id: container_id(), cmd, stdout: true, ..Default::default() };
        let attach = AttachRequest { container_id: container_id(), stdout: true, ..Default::default() };
        let forward = PortForwardRequest { pod_sandbox_id: pod.id().to_owned(), port: vec![] };
        let urls = [
            rt.exec(exec).await.unwrap().into_inner().url,
            rt.attach(attach).await.unwrap().into_inner().url,
            rt.port_forward(forward).await.unwrap().into_inner().url,
        ];
        for url in urls {
            assert!(url.starts_with("http://127.0.0.1:"), "with a host: {url}");
        }
    });
}

/// Labels or annotations that are odd, and allowed.
fn odd(kind: &str) -> Vec<(String, String)> {
    let pair = |key: &str, value: &str| (format!("{kind}/{key}"), value.to_owned());
    vec![pair("empty", ""), pair("lines", "a\nb"), pair("json", r#"{"a":"\"b\""}"#), pair("wide", "ß…\u{1f980}")]
}

/// Everything that tells labels and annotations of the pod, by name.
async fn told_of_pod(node: &Node, pod: &Pod) -> Vec<(&'static str, Pairs)> {
    let mut rt = node.cri().runtime();
    let status = pod.status().await;
    let listed = node.cri().list_pods().await.expect("an answer").remove(0);
    let mut stream =
        rt.stream_pod_sandboxes(StreamPodSandboxesRequest::default()).await.expect("an answer").into_inner();
    let streamed = stream.next().await.expect("an item").expect("no error").pod_sandboxes.remove(0);
    let stats = rt.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.expect("an answer").into_inner();
    let stats = stats.stats.into_iter().next().and_then(|s| s.attributes).expect("attributes");
    vec![
        ("status", (status.labels, status.annotations)),
        ("list", (listed.labels, listed.annotations)),
        ("stream", (streamed.labels, streamed.annotations)),
        ("stats", (stats.labels, stats.annotations)),
    ]
}

/// The same for its container.
async fn told_of_container(node: &Node, container: &Container) -> Vec<(&'static str, Pairs)> {
    let mut rt = node.cri().runtime();
    let status = container.status().await;
    let listed = node.cri().list_containers(None).await.expect("an answer").remove(0);
    let mut stream = rt.stream_containers(StreamContainersRequest::default()).await.expect("an answer").into_inner();
    let streamed = stream.next().await.expect("an item").expect("no error").containers.remove(0);
    let stats = rt.list_container_stats(ListContainerStatsRequest::default()).await.expect("an answer").into_inner();
    let stats = stats.stats.into_iter().next().and_then(|s| s.attributes).expect("attributes");
    vec![
        ("status", (status.labels, status.annotations)),
        ("list", (listed.labels, listed.annotations)),
        ("stream", (streamed.labels, streamed.annotations)),
        ("stats", (stats.labels, stats.annotations)),
    ]
}

/// Labels and annotations.
type Pairs = (std::collections::HashMap<String, String>, std::collections::HashMap<String, String>);

#[test]
fn labels_and_annotations_are_the_same_in_every_answer_and_after_a_restart() {
    on_a_node(async |node| {
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        let (labels, annotations) = (odd("label"), odd("note"));
        let pod = node.pod("kept").with(|c| {
            c.labels.extend(labels.clone());
            c.annotations.extend(annotations.clone());
        });
        let pod = pod.run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).with(|c| {
            c.labels.extend(labels.clone());
            c.annotations.extend(annotations.clone());
        });
        let container = container.start().await;
        let wanted: Pairs = (labels.into_iter().collect(), annotations.into_iter().collect());
        let last = async {
            loop {
                let event = events.next().await.expect("the stream goes on").expect("it is whole");
                if event.container_id == container.id() && event.containers_statuses.len() == 1 {
                    return event;
                }
            }
        };
        let event = tokio::time::timeout(Duration::from_secs(20), last).await.expect("an event of the container");
        let of_pod = event.pod_sandbox_status.expect("the pod's status");
        assert_eq!((of_pod.labels, of_pod.annotations), wanted, "event");
        let of_container = event.containers_statuses.into_iter().next().expect("one");
        assert_eq!((of_container.labels, of_container.annotations), wanted, "event");
        for restarted in [false, true] {
            let told = [told_of_pod(node, &pod).await, told_of_container(node, &container).await].concat();
            for (place, pairs) in told {
                assert_eq!(pairs, wanted, "{place}, restarted: {restarted}");
            }
            if !restarted {
                node.kill_and_restart().await;
            }
        }
    });
}

#[test]
fn times_are_nanoseconds_of_the_wall_clock() {
    on_a_node(async |node| {
        let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
        node.cri().pull(TINY).await.unwrap();
        let begun = now();
        let pod = node.pod("times").run().await;
        let container = pod.container("c").image(TINY).args(["exit", "0"]).create_as_it_is().await.unwrap();
        let created = now();
        container.start().await;
        let ended = container.ended().await;
        let of_pod = pod.status().await.created_at;
        assert!(begun <= of_pod && of_pod < ended.created_at && ended.created_at <= created);
        assert!(ended.created_at <= ended.started_at && ended.started_at <= ended.finished_at);
        assert!(ended.finished_at <= now());
    });
}

#[test]
fn verbose_answers_have_the_words_that_tools_look_for() {
    on_a_node(async |node| {
        let pod = node.pod("verbose").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let json = |info: &std::collections::HashMap<String, String>, key: &str| -> serde_json::Value {
            serde_json::from_str(&info[key]).expect("one JSON object")
        };
        let (mut rt, mut images) = (node.cri().runtime(), node.cri().images());
        let of_node = rt.status(StatusRequest { verbose: true }).await.unwrap().into_inner().info;
        assert_eq!(json(&of_node, "config")["stateDir"], node.daemon().state().display().to_string());
        let seen = container.info().await;
        let pid = seen["pid"].as_u64().expect("a process id");
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(seen["sandboxID"], pod.id());
        assert_eq!(seen["runtimeSpec"]["process"]["args"], serde_json::json!(["/tiny", "sleep"]));
        let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id().to_owned(), verbose: true };
        let of_pod = rt.pod_sandbox_status(request).await.unwrap().into_inner().info;
        assert!(json(&of_pod, "info")["pid"].is_u64(), "{of_pod:?}");
        let request = ImageStatusRequest { image: Some(spec(TINY)), verbose: true };
        let of_image = images.image_status(request).await.unwrap().into_inner().info;
        assert_eq!(json(&of_image, "info")["imageSpec"]["config"]["Entrypoint"], serde_json::json!(["/tiny"]));
    });
}
