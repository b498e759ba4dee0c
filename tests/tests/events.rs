// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents: every change, in order, with what the pod looks like after it.

use gorae_proto::cri::{ContainerEventResponse, ContainerEventType, ContainerState, GetEventsRequest, PodSandboxState};
use gorae_tests::{Node, TINY, on_a_node};
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::Streaming;

async fn subscribe(node: &Node) -> Streaming<ContainerEventResponse> {
    node.cri().runtime().get_container_events(GetEventsRequest {}).await.expect("events are served").into_inner()
}

/// The next event; panics when none comes for ten seconds.
async fn next(events: &mut Streaming<ContainerEventResponse>) -> ContainerEventResponse {
    let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("an event comes");
    event.expect("the stream goes on").expect("the stream is whole")
}

#[test]
fn every_client_gets_each_change_in_order_with_the_state_after_it() {
    use ContainerEventType::*;
    on_a_node(async |node| {
        let mut clients = [subscribe(node).await, subscribe(node).await];
        let pod = node.pod("events").run().await;
        let container = pod.container("c").image(TINY).start().await;
        container.stop(5).await;
        container.remove().await;
        pod.stop().await;
        pod.remove().await;
        let (pod_id, id) = (pod.id(), container.id());
        let expected = [
            (pod_id, ContainerCreatedEvent),
            (pod_id, ContainerStartedEvent),
            (id, ContainerCreatedEvent),
            (id, ContainerStartedEvent),
            (id, ContainerStoppedEvent),
            (id, ContainerDeletedEvent),
            (pod_id, ContainerStoppedEvent),
            (pod_id, ContainerDeletedEvent),
        ];
        for events in &mut clients {
            let mut last = 0;
            for (of, kind) in expected {
                let event = next(events).await;
                assert_eq!((event.container_id.as_str(), event.container_event_type()), (of, kind), "{event:?}");
                assert!(event.created_at >= last, "time does not go back: {event:?}");
                last = event.created_at;
                let status = event.pod_sandbox_status.expect("kubelet drops an event without it");
                assert_eq!(status.id, pod_id);
                let ready = of != pod_id || !matches!(kind, ContainerStoppedEvent | ContainerDeletedEvent);
                assert_eq!(status.state() == PodSandboxState::SandboxReady, ready, "{kind:?}");
                let state = event.containers_statuses.iter().find(|c| c.id == id).map(|c| c.state());
                match (of == id, kind) {
                    (true, ContainerCreatedEvent) => assert_eq!(state, Some(ContainerState::ContainerCreated)),
                    (true, ContainerStartedEvent) => assert_eq!(state, Some(ContainerState::ContainerRunning)),
                    (true, ContainerStoppedEvent) => assert_eq!(state, Some(ContainerState::ContainerExited)),
                    (true, ContainerDeletedEvent) => assert_eq!(state, None, "what is gone is not listed"),
                    _ => {}
                }
            }
        }
    });
}
