// SPDX-License-Identifier: Apache-2.0
//! Pods that their network does not take: the error says why, and nothing of them is left.

use super::frame::{
    FILE, addresses, bridge, is_in_use, links, list, network_condition, nothing_is_kept, nothing_is_kept_within,
    on_a_cni_node,
};
use gorae_tests::testing::{on_a_node_with, soon};
use gorae_tests::{Cni, cni, place};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_missing_plugin_is_named_with_the_places_where_it_should_be_and_counts_once_it_is_there() {
    on_a_cni_node(&["host-local"], async |node, cni| {
        cni.configure(FILE, &list("one", "1.0.0", &json!([bridge("br1", &["10.81.0.0/24"])])));
        let condition = soon("the missing plugin is told", async || {
            let condition = network_condition(node).await;
            condition.message.contains("bridge").then_some(condition)
        })
        .await;
        assert_eq!((condition.status, condition.reason.as_str()), (false, "NetworkPluginNotReady"), "{condition:?}");
        let refused = node.pod("a").try_run().await.unwrap_err();
        for word in ["failed to setup network for sandbox", "\"bridge\"", cni::PLUGINS] {
            assert!(refused.message().contains(word) || condition.message.contains(word), "{refused:?} {condition:?}");
        }
        assert!(node.cri().list_pods().await.unwrap().is_empty());
        nothing_is_kept_within(node, Duration::ZERO).await;
        cni.install_as(&place::tool("bridge"), "bridge");
        soon("the network is ready", async || network_condition(node).await.status.then_some(())).await;
        node.pod("a").run().await;
    });
}

#[test]
fn a_range_that_is_used_up_is_told_in_the_plugins_words_and_the_next_stop_makes_room() {
    on_a_cni_node(&["bridge", "host-local"], async |node, cni| {
        is_in_use(node, cni, FILE, &list("one", "1.0.0", &json!([bridge("br1", &["10.81.0.0/29"])]))).await;
        let mut pods = Vec::new();
        let refused = loop {
            match node.pod(&format!("p{}", pods.len())).try_run().await {
                Ok(pod) => pods.push(pod),
                Err(status) => break status,
            }
        };
        assert_eq!(pods.len(), 5, "8 addresses without that of the network, of the bridge, and of all");
        for word in
            ["failed to setup network for sandbox", "type=\"bridge\" failed (add): ", "no IP addresses available"]
        {
            assert!(refused.message().contains(word), "{refused:?}");
        }
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 5, "the refused one is not listed");
        assert_eq!((cni::pins().len(), cni::kept().len()), (5, 5));
        let free = addresses(&pods[2]).await;
        pods[2].stop().await;
        assert_eq!(addresses(&node.pod("next").run().await).await, free);
    });
}

#[test]
fn in_the_mode_cni_nothing_starts_in_the_built_in_network() {
    let list = list("one", "1.0.0", &json!([links("10.81.0.0/24")]));
    let cni = Cni::install(&["ptp", "host-local"]);
    cni.configure(FILE, &list);
    on_a_node_with("[network]\nmode = \"cni\"\n", async |node| {
        cni.unconfigure(FILE);
        node.kill_and_restart().await;
        let condition = network_condition(node).await;
        assert_eq!((condition.status, condition.reason.as_str()), (false, "NetworkPluginNotReady"), "{condition:?}");
        assert!(node.pod("a").try_run().await.is_err());
        node.pod("agent").host_network().run().await;
        cni.configure(FILE, &list);
        soon("the network is ready", async || network_condition(node).await.status.then_some(())).await;
        // With a host port, for which there is a table again, as after the first pod.
        let pod = node.pod("a").port(12_405, 80).run().await;
        assert!(addresses(&pod).await[0].starts_with("10.81.0."));
        node.sweep().await.unwrap();
        nothing_is_kept(node).await;
    });
}

#[test]
fn a_network_is_chosen_by_its_name() {
    let cni = Cni::install(&["ptp", "host-local"]);
    for (file, name, subnet) in [("10.conf", "first", "10.81.0.0/24"), ("20.conf", "mine", "10.82.0.0/24")] {
        cni.configure(file, &list(name, "1.0.0", &json!([links(subnet)])));
    }
    on_a_node_with("[network]\nname = \"mine\"\n", async |node| {
        assert!(addresses(&node.pod("a").run().await).await[0].starts_with("10.82.0."));
        node.sweep().await.unwrap();
        nothing_is_kept(node).await;
    });
}
