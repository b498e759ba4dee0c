// SPDX-License-Identifier: Apache-2.0
//! Filters of lists, of their streams, and of statistics.

use gorae_proto::cri::*;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node};
use std::collections::HashMap;
use tokio_stream::StreamExt;

/// Two pods with a container each; the first is labelled `tier=web`, as is its container, and is stopped.
async fn two(node: &Node) -> [(Pod, Container); 2] {
    let web = node.pod("web").label("tier", "web").run().await;
    let of_web = web.container("c").image(TINY).label("tier", "web").start().await;
    let db = node.pod("db").run().await;
    let of_db = db.container("c").image(TINY).start().await;
    [(web, of_web), (db, of_db)]
}

fn web() -> HashMap<String, String> {
    [("tier".to_owned(), "web".to_owned())].into()
}

/// All items of all messages of a stream.
async fn all<M, T>(mut stream: tonic::Streaming<M>, items: impl Fn(M) -> Vec<T>) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(message) = stream.next().await {
        found.extend(items(message.expect("the stream is whole")));
    }
    found
}

#[test]
fn streamed_pods_and_containers_pass_the_same_filters() {
    on_a_node(async |node| {
        let [(web_pod, of_web), (db, of_db)] = two(node).await;
        web_pod.stop().await;
        let mut rt = node.cri().runtime();
        let none = PodSandboxFilter::default;
        let ready = PodSandboxStateValue { state: PodSandboxState::SandboxReady.into() };
        let table = [
            (PodSandboxFilter { id: db.id()[..13].to_owned(), ..none() }, vec![db.id()]),
            (PodSandboxFilter { state: Some(ready), ..none() }, vec![db.id()]),
            (PodSandboxFilter { label_selector: web(), ..none() }, vec![web_pod.id()]),
            (PodSandboxFilter { label_selector: web(), state: Some(ready), ..none() }, vec![]),
        ];
        for (filter, wanted) in table {
            let request = StreamPodSandboxesRequest { filter: Some(filter.clone()) };
            let found = all(rt.stream_pod_sandboxes(request).await.unwrap().into_inner(), |m| m.pod_sandboxes).await;
            assert_eq!(found.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), wanted, "{filter:?}");
        }
        let none = ContainerFilter::default;
        let running = ContainerStateValue { state: ContainerState::ContainerRunning.into() };
        let table = [
            (ContainerFilter { id: of_db.id()[..13].to_owned(), ..none() }, vec![of_db.id()]),
            (ContainerFilter { state: Some(running), ..none() }, vec![of_db.id()]),
            (ContainerFilter { pod_sandbox_id: web_pod.id()[..13].to_owned(), ..none() }, vec![of_web.id()]),
            (ContainerFilter { label_selector: web(), ..none() }, vec![of_web.id()]),
        ];
        for (filter, wanted) in table {
            let request = StreamContainersRequest { filter: Some(filter.clone()) };
            let found = all(rt.stream_containers(request).await.unwrap().into_inner(), |m| m.containers).await;
            assert_eq!(found.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), wanted, "{filter:?}");
        }
    });
}

#[test]
fn statistics_of_containers_pass_their_filter() {
    on_a_node(async |node| {
        let [(web_pod, of_web), (_, of_db)] = two(node).await;
        let mut rt = node.cri().runtime();
        let none = ContainerStatsFilter::default;
        let table = [
            (ContainerStatsFilter { id: of_db.id()[..13].to_owned(), ..none() }, of_db.id()),
            (ContainerStatsFilter { pod_sandbox_id: web_pod.id().to_owned(), ..none() }, of_web.id()),
            (ContainerStatsFilter { label_selector: web(), ..none() }, of_web.id()),
        ];
        for (filter, wanted) in table {
            let request = ListContainerStatsRequest { filter: Some(filter.clone()) };
            let listed = rt.list_container_stats(request).await.unwrap().into_inner().stats;
            let request = StreamContainerStatsRequest { filter: Some(filter.clone()) };
            let streamed =
                all(rt.stream_container_stats(request).await.unwrap().into_inner(), |m| m.container_stats).await;
            for found in [listed, streamed] {
                let ids: Vec<_> = found.into_iter().filter_map(|s| s.attributes).map(|a| a.id).collect();
                assert_eq!(ids, [wanted], "{filter:?}");
            }
        }
        let one = rt.container_stats(ContainerStatsRequest { container_id: of_db.id().to_owned() }).await.unwrap();
        assert_eq!(one.into_inner().stats.and_then(|s| s.attributes).expect("attributes").id, of_db.id());
    });
}

#[test]
fn metrics_are_the_same_streamed_or_not() {
    on_a_node(async |node| {
        let [(web_pod, _), (db, _)] = two(node).await;
        let mut rt = node.cri().runtime();
        let listed = rt.list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await.unwrap().into_inner();
        let request = StreamPodSandboxMetricsRequest {};
        let streamed = rt.stream_pod_sandbox_metrics(request).await.unwrap().into_inner();
        let streamed = all(streamed, |m| m.pod_sandbox_metrics).await;
        let descriptors = rt.list_metric_descriptors(ListMetricDescriptorsRequest {}).await.unwrap().into_inner();
        let names: Vec<_> = descriptors.descriptors.iter().map(|d| d.name.as_str()).collect();
        for pods in [listed.pod_metrics, streamed] {
            let mut ids: Vec<_> = pods.iter().map(|p| p.pod_sandbox_id.as_str()).collect();
            ids.sort_unstable();
            let mut wanted = [web_pod.id(), db.id()];
            wanted.sort_unstable();
            assert_eq!(ids, wanted);
            let of_containers = pods.iter().flat_map(|p| &p.container_metrics).flat_map(|c| &c.metrics);
            assert!(
                of_containers.clone().count() > 0 && of_containers.clone().all(|m| names.contains(&m.name.as_str()))
            );
        }
    });
}

#[test]
fn statistics_of_pods_pass_their_filter() {
    on_a_node(async |node| {
        let [(web_pod, _), (db, _)] = two(node).await;
        let mut rt = node.cri().runtime();
        let none = PodSandboxStatsFilter::default;
        let table = [
            (PodSandboxStatsFilter { id: db.id()[..13].to_owned(), ..none() }, db.id()),
            (PodSandboxStatsFilter { label_selector: web(), ..none() }, web_pod.id()),
        ];
        for (filter, wanted) in table {
            let request = ListPodSandboxStatsRequest { filter: Some(filter.clone()) };
            let listed = rt.list_pod_sandbox_stats(request).await.unwrap().into_inner().stats;
            let request = StreamPodSandboxStatsRequest { filter: Some(filter.clone()) };
            let streamed =
                all(rt.stream_pod_sandbox_stats(request).await.unwrap().into_inner(), |m| m.pod_sandbox_stats).await;
            for found in [listed, streamed] {
                let ids: Vec<_> = found.into_iter().filter_map(|s| s.attributes).map(|a| a.id).collect();
                assert_eq!(ids, [wanted], "{filter:?}");
            }
        }
        let one = rt.pod_sandbox_stats(PodSandboxStatsRequest { pod_sandbox_id: db.id().to_owned() }).await.unwrap();
        assert_eq!(one.into_inner().stats.and_then(|s| s.attributes).expect("attributes").id, db.id());
    });
}

/// What a gRPC client takes that was told nothing else; kubelet's takes four times as much.
const USUAL_ANSWER: usize = 4 << 20;

#[test]
fn a_list_too_long_for_kubelet_is_refused_and_comes_in_parts_as_a_stream() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let note = || ("note".to_owned(), "x".repeat(3 << 19));
        let home = node.pod("home").run().await;
        let (mut pods, mut containers) = (vec![home.id().to_owned()], Vec::new());
        for i in 0..11 {
            let pod = node.pod(&format!("p{i}")).with(|c| c.annotations.extend([note()])).run().await;
            pods.push(pod.id().to_owned());
            let container = home.container(&format!("c{i}")).image(TINY).with(|c| c.annotations.extend([note()]));
            containers.push(container.create_as_it_is().await.unwrap().id().to_owned());
        }
        let mut rt = node.cri().runtime();
        let refused = [
            rt.list_pod_sandbox(ListPodSandboxRequest::default()).await.unwrap_err(),
            rt.list_containers(ListContainersRequest::default()).await.unwrap_err(),
            rt.list_container_stats(ListContainerStatsRequest::default()).await.unwrap_err(),
            rt.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.code(), tonic::Code::ResourceExhausted, "{error:?}");
            assert!(error.message().contains("call Stream"), "{error:?}");
        }
        let one = PodSandboxFilter { id: pods[1].clone(), ..Default::default() };
        let one = rt.list_pod_sandbox(ListPodSandboxRequest { filter: Some(one) }).await.unwrap().into_inner().items;
        assert_eq!(one.len(), 1, "a filter makes it short enough");

        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let (pods, containers) = (sorted(pods), sorted(containers));
        let mut rt = rt.max_decoding_message_size(USUAL_ANSWER);
        let stream = rt.stream_pod_sandboxes(StreamPodSandboxesRequest::default()).await.unwrap().into_inner();
        assert_eq!(sorted(all(stream, |m| m.pod_sandboxes.into_iter().map(|p| p.id).collect()).await), pods);
        let stream = rt.stream_containers(StreamContainersRequest::default()).await.unwrap().into_inner();
        assert_eq!(sorted(all(stream, |m| m.containers.into_iter().map(|c| c.id).collect()).await), containers);
        let stream = rt.stream_container_stats(StreamContainerStatsRequest::default()).await.unwrap().into_inner();
        let ids = |m: StreamContainerStatsResponse| m.container_stats.into_iter().flat_map(|s| s.attributes);
        assert_eq!(sorted(all(stream, |m| ids(m).map(|a| a.id).collect()).await), containers);
        for pod in pods {
            node.cri().clear_pod(&pod).await.unwrap();
        }
    });
}

#[test]
fn an_empty_stream_has_no_message_and_ends() {
    on_a_node(async |node| {
        let mut rt = node.cri().runtime();
        let pods = rt.stream_pod_sandboxes(StreamPodSandboxesRequest::default()).await.unwrap().into_inner();
        let containers = rt.stream_containers(StreamContainersRequest::default()).await.unwrap().into_inner();
        let stats = rt.stream_container_stats(StreamContainerStatsRequest::default()).await.unwrap().into_inner();
        let of_pods = rt.stream_pod_sandbox_stats(StreamPodSandboxStatsRequest::default()).await.unwrap().into_inner();
        let metrics = rt.stream_pod_sandbox_metrics(StreamPodSandboxMetricsRequest {}).await.unwrap().into_inner();
        let images = node.cri().images().stream_images(StreamImagesRequest::default()).await.unwrap().into_inner();
        let messages = [
            all(pods, |_| vec![()]).await,
            all(containers, |_| vec![()]).await,
            all(stats, |_| vec![()]).await,
            all(of_pods, |_| vec![()]).await,
            all(metrics, |_| vec![()]).await,
            all(images, |_| vec![()]).await,
        ];
        assert!(messages.iter().all(Vec::is_empty), "{messages:?}");
    });
}

#[test]
fn a_filter_holds_everything_that_is_set_in_it_and_one_without_anything_holds_nothing_back() {
    on_a_node(async |node| {
        let [(web_pod, of_web), (db, of_db)] = two(node).await;
        let created = db.container("created").image(TINY).create().await;
        web_pod.stop().await;
        let mut rt = node.cri().runtime();
        let none = ContainerFilter::default;
        let state = |state: ContainerState| Some(ContainerStateValue { state: state.into() });
        let of = |id: &str| ContainerFilter { id: id.to_owned(), ..none() };
        let everything = vec![of_web.id(), of_db.id(), created.id()];
        let table = [
            (None, everything.clone()),
            (Some(none()), everything),
            (Some(ContainerFilter { state: state(ContainerState::ContainerCreated), ..none() }), vec![created.id()]),
            (Some(ContainerFilter { pod_sandbox_id: db.id()[..13].to_owned(), ..of(of_db.id()) }), vec![of_db.id()]),
            (Some(ContainerFilter { pod_sandbox_id: web_pod.id().to_owned(), ..of(of_db.id()) }), vec![]),
            (Some(ContainerFilter { state: state(ContainerState::ContainerCreated), ..of(of_db.id()) }), vec![]),
            (Some(ContainerFilter { label_selector: web(), ..of(of_db.id()) }), vec![]),
            (
                Some(ContainerFilter {
                    label_selector: web(),
                    state: state(ContainerState::ContainerRunning),
                    ..none()
                }),
                vec![],
            ),
            (Some(ContainerFilter { label_selector: [("tier".to_owned(), "we".to_owned())].into(), ..none() }), vec![]),
            (Some(ContainerFilter { label_selector: [("tier".to_owned(), String::new())].into(), ..none() }), vec![]),
        ];
        for (filter, mut wanted) in table {
            let listed =
                rt.list_containers(ListContainersRequest { filter: filter.clone() }).await.unwrap().into_inner();
            let mut found: Vec<_> = listed.containers.iter().map(|c| c.id.as_str()).collect();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{filter:?}");
        }
        let none = PodSandboxFilter::default;
        let state = |state: PodSandboxState| Some(PodSandboxStateValue { state: state.into() });
        let (ready, stopped) = (state(PodSandboxState::SandboxReady), state(PodSandboxState::SandboxNotready));
        let table = [
            (None, 2),
            (Some(none()), 2),
            (Some(PodSandboxFilter { id: web_pod.id().to_owned(), state: ready, ..none() }), 0),
            (Some(PodSandboxFilter { id: web_pod.id().to_owned(), state: stopped, ..none() }), 1),
            (Some(PodSandboxFilter { id: db.id().to_owned(), label_selector: web(), ..none() }), 0),
        ];
        for (filter, count) in table {
            let listed =
                rt.list_pod_sandbox(ListPodSandboxRequest { filter: filter.clone() }).await.unwrap().into_inner();
            assert_eq!(listed.items.len(), count, "{filter:?}");
        }
    });
}

#[test]
fn what_vanishes_while_it_is_read_is_left_out_and_fails_no_list() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let kept = node.pod("kept").run().await;
        let kept = kept.container("c").image(TINY).args(["sleep"]).start().await;
        let life = |lane: usize| {
            let pods: Vec<_> = (0..15).map(|i| node.pod(&format!("short-{lane}-{i}"))).collect();
            tokio::spawn(async move {
                for pod in pods {
                    let pod = pod.run().await;
                    pod.container("c").image(TINY).args(["sleep"]).start().await;
                    pod.remove().await;
                }
            })
        };
        let lives = [life(0), life(1)];
        let mut rt = node.cri().runtime();
        while lives.iter().any(|life| !life.is_finished()) {
            let stats = rt.list_container_stats(ListContainerStatsRequest::default()).await.unwrap().into_inner();
            assert!(stats.stats.iter().any(|s| s.attributes.as_ref().is_some_and(|a| a.id == kept.id())));
            let stats = rt.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.unwrap().into_inner();
            assert!(!stats.stats.is_empty());
            let metrics = rt.list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await.unwrap().into_inner();
            assert!(!metrics.pod_metrics.is_empty());
            for pod in node.cri().list_pods().await.unwrap() {
                let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id, verbose: true };
                if let Err(gone) = rt.pod_sandbox_status(request).await {
                    assert_eq!(gone.code(), tonic::Code::NotFound, "{gone:?}");
                }
            }
        }
        for life in lives {
            life.await.unwrap();
        }
    });
}
