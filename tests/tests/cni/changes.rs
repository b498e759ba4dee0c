// SPDX-License-Identifier: Apache-2.0
//! Configurations that appear, change and go while the node runs.

use super::frame::{FILE, addresses, bridge, is_in_use, list, network_condition, node_reaches, on_a_cni_node, server};
use gorae_tests::testing::soon;
use gorae_tests::{Cni, Node, cni, web};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const PLUGINS: [&str; 2] = ["bridge", "host-local"];

fn network(name: &str, subnet: &str) -> String {
    list(name, "1.0.0", &json!([bridge(&format!("br-{name}"), &[subnet])]))
}

/// The first address of a new pod.
async fn address_of_a_new_pod(node: &Node, name: &str) -> String {
    addresses(&node.pod(name).run().await).await.remove(0)
}

#[test]
fn a_configuration_that_appears_or_is_replaced_counts_at_once_for_new_pods_only() {
    on_a_cni_node(&PLUGINS, async |node, cni| {
        let old = node.pod("old").port(12_402, 80).run().await;
        let at_old = addresses(&old).await;
        server(node, &old, "old").await;
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        assert!(address_of_a_new_pod(node, "a").await.starts_with("10.81.0."));
        // In place, as Calico does.
        std::fs::write(Path::new(cni::CONFIGURATIONS).join(FILE), network("two", "10.82.0.0/24")).unwrap();
        let mut i = 0;
        soon("the new text counts", async || {
            i += 1;
            address_of_a_new_pod(node, &format!("b{i}")).await.starts_with("10.82.0.").then_some(())
        })
        .await;
        assert_eq!(addresses(&old).await, at_old);
        node_reaches(&at_old[0], "old").await;
        node.kill_and_restart().await;
        assert_eq!(addresses(&old).await, at_old);
        assert_eq!(web::get_soon("127.0.0.1:12402", "/").await, (200, "old".into()));
    });
}

#[test]
fn a_network_whose_file_goes_is_still_used_for_a_while_and_not_after_a_restart() {
    on_a_cni_node(&PLUGINS, async |node, cni| {
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        cni.unconfigure(FILE);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(network_condition(node).await.status, "agents restart");
        let kept = node.pod("kept").run().await;
        assert!(addresses(&kept).await[0].starts_with("10.81.0."), "never the built-in network");
        node.kill_and_restart().await;
        let condition = network_condition(node).await;
        assert_eq!((condition.status, condition.reason.as_str()), (false, "NetworkPluginNotReady"), "{condition:?}");
        assert!(condition.message.contains("/etc/cni/net.d"), "{condition:?}");
        let refused = node.pod("refused").try_run().await.unwrap_err();
        assert!(refused.message().contains("/etc/cni/net.d"), "{refused:?}");
        let agent = node.pod("agent").host_network().run().await;
        agent.container("c").script("sleep 1000").start().await;
        kept.stop().await;
        assert!(cni::kept().is_empty(), "the recorded configuration undoes it: {:?}", cni::kept());
        is_in_use_again(node, cni, "four").await;
    });
}

/// Writes the configuration, and waits for the condition: the log has an earlier start in it.
async fn is_in_use_again(node: &Node, cni: &Cni, name: &str) {
    cni.configure(FILE, &network(name, "10.83.0.0/24"));
    soon("the network is ready again", async || network_condition(node).await.status.then_some(())).await;
    assert!(address_of_a_new_pod(node, "again").await.starts_with("10.83.0."));
}

#[test]
fn a_broken_configuration_is_told_with_its_place_and_the_last_good_one_goes_on() {
    on_a_cni_node(&PLUGINS, async |node, cni| {
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        cni.configure(FILE, "{\n \"name\": \"one\",\n \"secret\": nope\n}");
        let condition = soon("the broken file is told", async || {
            let condition = network_condition(node).await;
            (!condition.message.is_empty()).then_some(condition)
        })
        .await;
        assert!(condition.status, "{condition:?}");
        assert!(address_of_a_new_pod(node, "a").await.starts_with("10.81.0."));
        node.kill_and_restart().await;
        let condition = network_condition(node).await;
        assert_eq!((condition.status, condition.reason.as_str()), (false, "NetworkPluginNotReady"), "{condition:?}");
        let named = [FILE, "line 3"].iter().all(|word| condition.message.contains(word));
        assert!(named && !condition.message.contains("secret"), "{condition:?}");
        is_in_use_again(node, cni, "four").await;
    });
}

#[test]
fn the_first_file_counts_and_a_second_one_of_the_same_network_is_told() {
    on_a_cni_node(&PLUGINS, async |node, cni| {
        cni.configure("20-second.conflist", &network("one", "10.82.0.0/24"));
        cni.configure("30-other.conflist", &network("three", "10.83.0.0/24"));
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        assert!(address_of_a_new_pod(node, "a").await.starts_with("10.81.0."));
        let condition = network_condition(node).await;
        assert!(condition.status && condition.message.contains("20-second.conflist"), "{condition:?}");
        assert!(!condition.message.contains("30-other"), "{condition:?}");
    });
}

#[test]
fn plugins_in_the_networks_own_directory_are_appended() {
    on_a_cni_node(&["bridge", "host-local", "tuning"], async |node, cni| {
        let sysctl = json!({"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}});
        cni.configure("one/50-tuning.conf", &sysctl.to_string());
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        let container = node.pod("a").run().await.container("c").script("sleep 1000").start().await;
        assert_eq!(container.sh("cat /proc/sys/net/ipv4/conf/eth0/arp_filter").await.stdout, "1\n");
    });
}

/// How often the file is rewritten.
fn rewrites() -> usize {
    std::env::var("GORAE_REWRITES").map_or(200, |n| n.parse().expect("GORAE_REWRITES is a number"))
}

#[test]
fn a_file_that_is_rewritten_in_place_again_and_again_fails_no_pod() {
    on_a_cni_node(&PLUGINS, async |node, cni| {
        is_in_use(node, cni, FILE, &network("one", "10.81.0.0/24")).await;
        let rewriting = tokio::spawn(rewrite(network("one", "10.81.0.0/24")));
        let mut pods = 0;
        while !rewriting.is_finished() {
            let pod = node.pod(&format!("p{pods}")).run().await;
            assert!(addresses(&pod).await[0].starts_with("10.81.0."));
            assert!(network_condition(node).await.status);
            pod.stop().await;
            pod.remove().await;
            pods += 1;
        }
        rewriting.await.unwrap();
        assert!(pods > 0);
        println!("{pods} pods beside {} rewrites", rewrites());
    });
}

/// Rewrites the file as Calico and Multus do: it is empty, then half there, then whole.
async fn rewrite(text: String) {
    let path = Path::new(cni::CONFIGURATIONS).join(FILE);
    for i in 0..rewrites() {
        for part in [0, text.len() / 2, text.len()] {
            std::fs::write(&path, &text[..part]).unwrap();
            tokio::time::sleep(Duration::from_millis(if i % 40 == 0 { 300 } else { 5 })).await;
        }
    }
}
