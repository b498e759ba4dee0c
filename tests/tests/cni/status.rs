// SPDX-License-Identifier: Apache-2.0
//! Networks that say whether they are well, and how fast the node says it.

use super::frame::{FILE, is_in_use, list, network_condition, on_a_cni_node};
use super::recorder::recorder;
use gorae_tests::testing::soon;
use gorae_tests::{Cni, Node};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A network that is asked for STATUS.
fn network(cni: &Cni, key: &str, value: &Value) -> String {
    let mut own = recorder(cni, "own");
    own[key] = value.clone();
    list("one", "1.1.0", &json!([own]))
}

/// The slowest of a hundred answers.
async fn slowest_status(node: &Node) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let begun = Instant::now();
        assert!(network_condition(node).await.status);
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    slowest
}

#[test]
fn a_network_that_says_that_it_is_not_well_is_told_and_pods_are_still_tried() {
    on_a_cni_node(&[], async |node, cni| {
        let sick = node.directory("agent").join("sick");
        is_in_use(node, cni, FILE, &network(cni, "away", &json!({"STATUS": sick}))).await;
        std::fs::write(&sick, "").unwrap();
        let condition = soon("it is told", async || {
            let condition = network_condition(node).await;
            (!condition.message.is_empty()).then_some(condition)
        })
        .await;
        assert!(condition.status && condition.message.contains("the agent is away"), "{condition:?}");
        node.pod("a").run().await.stop().await;
        // There was no good answer in the life of this daemon.
        node.kill_and_restart().await;
        let condition = network_condition(node).await;
        assert_eq!((condition.status, condition.reason.as_str()), (false, "NetworkPluginNotReady"), "{condition:?}");
        std::fs::remove_file(&sick).unwrap();
        soon("it is well", async || network_condition(node).await.status.then_some(())).await;
    });
}

#[test]
fn a_status_that_hangs_keeps_no_client_waiting() {
    on_a_cni_node(&[], async |node, cni| {
        let stuck = node.directory("agent").join("stuck");
        is_in_use(node, cni, FILE, &network(cni, "hang", &json!({"STATUS": stuck}))).await;
        let before = slowest_status(node).await;
        std::fs::write(&stuck, "").unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        let during = slowest_status(node).await;
        assert!(during < before * 10 + Duration::from_millis(50), "{during:?}, {before:?} before");
        let condition = soon("it is told", async || {
            let condition = network_condition(node).await;
            (!condition.message.is_empty()).then_some(condition)
        })
        .await;
        assert!(condition.message.contains("did not end within 5 s"), "{condition:?}");
        node.pod("a").run().await.stop().await;
        let begun = Instant::now();
        node.kill_and_restart().await;
        assert!(begun.elapsed() < Duration::from_secs(3), "it starts all the same: {:?}", begun.elapsed());
        assert!(!network_condition(node).await.status);
        std::fs::remove_file(&stuck).unwrap();
        soon("it is well", async || network_condition(node).await.status.then_some(())).await;
    });
}
