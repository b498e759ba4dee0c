// SPDX-License-Identifier: Apache-2.0
//! Networks that cannot be undone now: pods end all the same, and what is owed is paid later.

use super::frame::{FILE, is_in_use, kept_of_pods, nothing_is_kept_within, on_a_cni_node};
use super::mischief::{bridge_and, network_and};
use super::recorder::order;
use gorae_tests::testing::soon;
use gorae_tests::{Node, Pod, TINY, cni};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Stops a pod as kubelet does: again and again, until the runtime says that it is stopped. Returns the errors.
pub async fn stop(pod: &Pod) -> Vec<String> {
    let mut errors = Vec::new();
    while let Err(status) = pod.try_stop().await {
        errors.push(status.message().to_owned());
        assert!(errors.len() < 5, "{errors:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    errors
}

/// The file whose existence is trouble.
pub fn trouble(node: &Node) -> PathBuf {
    node.directory("agent").join("trouble")
}

#[test]
fn a_network_that_cannot_be_undone_is_an_error_once_and_then_owed() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let away = trouble(node);
        is_in_use(node, cni, FILE, &bridge_and(cni, &[("away", json!({"DEL": away}))])).await;
        let pod = node.pod("a").run().await;
        std::fs::write(&away, "").unwrap();
        let errors = stop(&pod).await;
        assert!(
            errors.len() == 1 && errors[0].contains("type=\"own\" failed (delete): the agent is away"),
            "{errors:?}"
        );
        pod.remove().await;
        assert!(node.cri().list_pods().await.unwrap().is_empty());
        assert_eq!(cni::pins().len(), 1, "some plugins need it");
        // It is owed across restarts, without the configuration, and from the built-in network's point of view.
        node.kill_and_restart().await;
        cni.unconfigure(FILE);
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::fs::remove_file(&away).unwrap();
        nothing_is_kept_within(node, Duration::from_secs(10)).await;
    });
}

#[test]
fn a_hung_plugin_holds_up_its_own_pod_only_and_that_for_a_bounded_time() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let hang = trouble(node);
        is_in_use(node, cni, FILE, &bridge_and(cni, &[("hang", json!({"DEL": hang}))])).await;
        let (a, b) = (node.pod("a").run().await, node.pod("b").run().await);
        a.container("c").image(TINY).args(["sleep"]).start().await;
        std::fs::write(&hang, "").unwrap();
        let begun = Instant::now();
        let stopping = tokio::spawn({
            let a = a.clone();
            async move { stop(&a).await }
        });
        cni.configure(FILE, &bridge_and(cni, &[]));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let other = node.pod("other").run().await;
        other.stop().await;
        other.remove().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let errors = stopping.await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(23), "{:?}", begun.elapsed());
        assert!(errors.len() == 1 && errors[0].contains("still removing the pod"), "{errors:?}");
        a.remove().await;
        std::fs::remove_file(&hang).unwrap();
        b.stop().await;
        nothing_is_kept_within(node, Duration::from_secs(10)).await;
    });
}

#[test]
fn what_is_owed_to_one_network_is_paid_while_a_plugin_of_another_one_hangs() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let (hang, away) = (trouble(node), node.directory("agent").join("away"));
        is_in_use(node, cni, FILE, &bridge_and(cni, &[("hang", json!({"DEL": hang}))])).await;
        let hung = node.pod("hung").run().await;
        cni.configure(FILE, &network_and(cni, "two", "10.82.0.0/24", &[("away", json!({"DEL": away}))]));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let owing = node.pod("owing").run().await;
        std::fs::write(&hang, "").unwrap();
        std::fs::write(&away, "").unwrap();
        let stopping = tokio::spawn({
            let hung = hung.clone();
            async move { stop(&hung).await }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(stop(&owing).await.len(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        std::fs::remove_file(&away).unwrap();
        let begun = Instant::now();
        while kept_of_pods(node).records > 1 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it waits for the plugin that hangs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::remove_file(&hang).unwrap();
        stopping.await.unwrap();
    });
}

#[test]
fn a_del_waits_for_the_add_of_a_daemon_that_was_killed() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        let hang = trouble(node);
        is_in_use(node, cni, FILE, &bridge_and(cni, &[("hang", json!({"ADD": hang}))])).await;
        std::fs::write(&hang, "").unwrap();
        let run = tokio::spawn(node.pod("a").try_run());
        soon("the plugin hangs", async || order().contains(&"own ADD".to_owned()).then_some(())).await;
        node.kill_and_restart().await;
        assert!(run.await.unwrap().is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(order(), ["own ADD"], "its work may be half done");
        assert_eq!(kept_of_pods(node).records, 1);
        // Another pod does not wait.
        cni.configure(FILE, &bridge_and(cni, &[]));
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.pod("b").run().await.stop().await;
        std::fs::remove_file(&hang).unwrap();
        nothing_is_kept_within(node, Duration::from_secs(10)).await;
        assert_eq!(order().last().unwrap(), "own DEL");
        assert!(node.cri().list_pods().await.unwrap().iter().all(|pod| pod.metadata.as_ref().unwrap().name == "b"));
    });
}
