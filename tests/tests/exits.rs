// SPDX-License-Identifier: Apache-2.0
//! How a container's end is told: right in the first status that shows it, and TARGET mode, which shares the end.

use gorae_proto::cri::{ContainerEventType, ContainerState, GetEventsRequest, NamespaceMode};
use gorae_tests::{BUSYBOX, Pod, TINY, on_a_node};
use std::time::Duration;

/// Rounds of the usual run, a third of each kind; `GORAE_ROUNDS` says another number.
const ROUNDS: usize = 100;

/// Kinds of ends: what is run, and what must be told.
const KINDS: [(&str, i32, &str); 3] = [("eat", 137, "OOMKilled"), ("exit", 9, "Error"), ("exit", 0, "Completed")];

#[test]
fn code_and_reason_are_right_in_the_first_status_that_shows_the_end() {
    let rounds = std::env::var("GORAE_ROUNDS").map_or(ROUNDS, |n| n.parse().expect("GORAE_ROUNDS is a number"));
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("ends").run().await;
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        for round in 0..rounds {
            let (verb, code, reason) = KINDS[round % KINDS.len()];
            let number = if verb == "eat" { "200".to_owned() } else { code.to_string() };
            let builder = pod.container(&format!("c{round}")).image(TINY).args([verb, &number]).memory_limit(16 << 20);
            let container = builder.start().await;
            // From two sides: the first list that shows it, and the event with its picture.
            let polled = async {
                loop {
                    let status = container.status().await;
                    if status.state() == ContainerState::ContainerExited {
                        return status;
                    }
                }
            };
            let told = async {
                loop {
                    let event = events.message().await.unwrap().expect("the stream goes on");
                    let ended = event.container_event_type() == ContainerEventType::ContainerStoppedEvent;
                    if ended && event.container_id == container.id() {
                        return event.containers_statuses.into_iter().find(|s| s.id == container.id()).unwrap();
                    }
                }
            };
            let both = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(polled, told) }).await;
            let (polled, told) = both.expect("it ends");
            assert_eq!((polled.exit_code, polled.reason.as_str()), (code, reason), "round {round}: {polled:?}");
            assert_eq!(polled, told, "round {round}");
            container.remove().await;
        }
    });
}

fn targeting(pod: &Pod, id: &str) -> gorae_proto::cri::NamespaceOption {
    let mut options = gorae_tests::pod::namespaces(&mut pod.config().clone()).clone();
    options.set_pid(NamespaceMode::Target);
    options.target_id = id.to_owned();
    options
}

#[test]
fn a_container_in_target_mode_sees_its_targets_processes_and_ends_with_it_or_alone() {
    on_a_node(async |node| {
        let pod = node.pod("target").run().await;
        let target = pod.container("app").script("sleep 4711").start().await;
        let debug = |name: &str| {
            let options = targeting(&pod, target.id());
            pod.container(name).image(BUSYBOX).script("sleep 4712").security(|s| s.namespace_options = Some(options))
        };
        let (first, second) = (debug("first").start().await, debug("second").start().await);
        let seen = first.exec(["ps", "-o", "args"]).await.stdout;
        assert!(seen.contains("sleep 4711") && seen.contains("sleep 4712"), "{seen}");
        first.stop(0).await;
        assert_eq!(first.status().await.exit_code, 137);
        assert_eq!(target.exec(["echo", "alive"]).await.stdout, "alive\n");
        assert_eq!(second.exec(["echo", "alive"]).await.stdout, "alive\n");
        // The kernel ends a namespace with its first process.
        target.stop(0).await;
        assert_eq!(second.ended().await.exit_code, 137);
    });
}

#[test]
fn a_target_that_does_not_run_or_is_elsewhere_is_refused() {
    on_a_node(async |node| {
        let (pod, other) = (node.pod("target").run().await, node.pod("other").run().await);
        let ended = pod.container("ended").image(TINY).args(["exit", "0"]).start().await;
        ended.ended().await;
        let elsewhere = other.container("c").image(TINY).args(["sleep"]).start().await;
        for id in [ended.id(), elsewhere.id(), &"4".repeat(64), ""] {
            let options = targeting(&pod, id);
            let refused = pod.container("debug").image(TINY).security(|s| s.namespace_options = Some(options));
            assert!(refused.try_create().await.is_err(), "{id:?}");
        }
        assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 2);
    });
}
