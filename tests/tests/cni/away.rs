// SPDX-License-Identifier: Apache-2.0
//! An agent that is away for long, while pods end. `GORAE_AWAY_SECONDS` makes it longer.

use super::debts::{stop, trouble};
use super::frame::{FILE, is_in_use, kept_of_pods, network_condition, nothing_is_kept_within};
use super::mischief::bridge_and;
use gorae_tests::testing::on_a_node_for;
use gorae_tests::{Cni, Node, TINY};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the agent is away: ten minutes in `make soak`.
fn seconds_away() -> u64 {
    std::env::var("GORAE_AWAY_SECONDS").map_or(10, |n| n.parse().expect("GORAE_AWAY_SECONDS is a number"))
}

#[test]
fn fifty_pods_end_while_the_agent_is_away_and_their_debts_are_paid_when_it_is_back() {
    let away = Duration::from_secs(seconds_away());
    on_a_node_for(away + Duration::from_secs(120), async |node| {
        let cni = Cni::install(&["bridge", "host-local"]);
        end_fifty(node, &cni, away).await;
        drop(cni);
        let _ = std::fs::remove_file(node.daemon().root().join("cni-seen"));
    });
}

async fn end_fifty(node: &Node, cni: &Cni, long: Duration) {
    let away = trouble(node);
    is_in_use(node, cni, FILE, &bridge_and(cni, &[("away", json!({"DEL": away}))])).await;
    let mut pods = Vec::new();
    for i in 0..50 {
        let pod = node.pod(&format!("p{i}")).run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        pods.push((pod, container));
    }
    std::fs::write(&away, "").unwrap();
    let begun = Instant::now();
    for (pod, container) in &pods {
        let stopped = Instant::now();
        container.stop(1).await;
        assert!(stop(pod).await.len() <= 1);
        assert!(stopped.elapsed() < Duration::from_secs(3), "its process is gone: {:?}", stopped.elapsed());
        pod.remove().await;
    }
    while begun.elapsed() < long {
        let condition = network_condition(node).await;
        assert!(condition.status, "it says that the network is well: {condition:?}");
        assert_eq!(kept_of_pods(node).records, 50);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    std::fs::remove_file(&away).unwrap();
    let back = Instant::now();
    nothing_is_kept_within(node, Duration::from_secs(10)).await;
    println!("50 debts are paid {:.1} s after the agent is back", back.elapsed().as_secs_f64());
}
