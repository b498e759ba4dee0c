// SPDX-License-Identifier: Apache-2.0
//! The administrator's chain in our table: his rules work, and outlive ours.

use super::stage::{NODE, as_node, bridged, call, live, open, pod, serve, sh, take_away, tcp};
use gorae_network::{Mapper, Network, NetworkConfig};
use std::collections::HashSet;

const RULE: &str = "meta l4proto tcp ct original proto-dst 12400 counter drop";

fn table() -> String {
    sh("nft list tables | sed -n 's/.*inet \\(gorae-.*\\)/\\1/p'").trim().to_owned()
}

#[test]
fn a_rule_of_the_administrator_works_and_outlives_rewrites_restarts_and_a_shutdown() {
    as_node(
        "user_rules::a_rule_of_the_administrator_works_and_outlives_rewrites_restarts_and_a_shutdown",
        async |root| {
            let network = open(root, &[]).await;
            let mappings = [tcp("", 12400, 80), tcp("", 12401, 80)];
            let a = pod(&network, "a", &mappings).await;
            serve("a", "0.0.0.0:80");
            let denied = |when: &str| {
                assert_eq!(call("outside", format!("{NODE}:12400")), None, "{when}");
                assert!(call("outside", format!("{NODE}:12401")).is_some(), "{when}");
            };
            assert!(call("outside", format!("{NODE}:12400")).is_some());
            sh(&format!("nft add rule inet {} user_forward {RULE}", table()));
            denied("it was added");
            // What makes us write the whole table: an element that is not as we left it.
            pod(&network, "b", &[tcp("", 12402, 80)]).await;
            sh(&format!("nft flush map inet {} ports4", table()));
            take_away(&network, "b").await;
            denied("the table was written anew");
            sh(&format!("nft delete table inet {}", table()));
            network.reconcile(&HashSet::new()).await.expect("written");
            assert!(call("outside", format!("{NODE}:12400")).is_some(), "his own doing");
            sh(&format!("nft add rule inet {} user_forward {RULE}", table()));
            drop(network);
            let network = open(root, &[live("a", &a, &mappings)]).await;
            denied("the daemon started again");
            take_away(&network, "a").await;
            assert!(network.remove_if_unused().await.expect("removed"));
            let left = sh("nft list ruleset");
            assert!(left.contains("drop") && !left.contains("hook") && !left.contains("map"), "only his rules: {left}");
            assert!(!sh("ip link show").contains("gorae"), "the bridge is gone");
            pod(&network, "c", &mappings).await;
            serve("c", "0.0.0.0:80");
            denied("the network is in use again");
            assert_eq!(sh("nft list ruleset").matches("jump user_forward").count(), 1);
            sh(&format!("nft flush chain inet {} user_forward", table()));
            take_away(&network, "c").await;
            assert!(network.remove_if_unused().await.expect("removed"));
            assert_eq!(sh("nft list tables"), "");
        },
    );
}

#[test]
fn a_table_that_cannot_be_changed_is_replaced_with_the_administrators_rules() {
    as_node("user_rules::a_table_that_cannot_be_changed_is_replaced_with_the_administrators_rules", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12401, 80)]).await;
        let name = table();
        // As another version might have left it.
        sh(&format!(
            "nft delete table inet {name}; nft add table inet {name}
             nft 'add map inet {name} ports4 {{ type inet_service : ipv4_addr; }}'
             nft add chain inet {name} user_forward && nft add rule inet {name} user_forward {RULE}"
        ));
        pod(&network, "b", &[tcp("", 12400, 80)]).await;
        serve("a", "0.0.0.0:80");
        serve("b", "0.0.0.0:80");
        assert!(call("outside", format!("{NODE}:12401")).is_some());
        assert_eq!(call("outside", format!("{NODE}:12400")), None);
        assert!(call("", format!("{NODE}:12400")).is_some(), "what the node itself sends is not forwarded");
    });
}

#[test]
fn sets_and_chains_of_the_administrator_stay_when_ours_are_made_anew_or_removed() {
    as_node("user_rules::sets_and_chains_of_the_administrator_stay_when_ours_are_made_anew_or_removed", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12410, 80), tcp("", 12411, 80)]).await;
        serve("a", "0.0.0.0:80");
        let name = table();
        sh(&format!(
            "nft 'add set inet {name} denied {{ type inet_service; elements = {{ 12410 }}; }}'
                 nft add chain inet {name} mine && nft add rule inet {name} user_forward jump mine
                 nft add rule inet {name} mine meta l4proto tcp ct original proto-dst @denied drop
                 nft flush chain inet {name} hostports && nft delete map inet {name} ports4
                 nft 'add map inet {name} ports4 {{ type inet_service : ipv4_addr; }}'"
        ));
        network.reconcile(&HashSet::new()).await.expect("made anew");
        assert_eq!(call("outside", format!("{NODE}:12410")), None);
        assert!(call("outside", format!("{NODE}:12411")).is_some());
        take_away(&network, "a").await;
        assert!(network.remove_if_unused().await.expect("removed"));
        let left = sh("nft list ruleset");
        assert!(left.contains("jump mine") && left.contains("@denied") && !left.contains("hook"), "{left}");
        assert!(!left.contains("ports4") && !left.contains("beside"), "{left}");
    });
}

#[test]
fn a_rule_that_holds_an_object_of_ours_is_named_as_what_to_remove() {
    as_node("user_rules::a_rule_that_holds_an_object_of_ours_is_named_as_what_to_remove", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12420, 80)]).await;
        serve("a", "0.0.0.0:80");
        let name = table();
        sh(&format!(
            "nft flush chain inet {name} hostports && nft delete map inet {name} ports4
             nft 'add set inet {name} ports4 {{ type inet_service; }}'
             nft add rule inet {name} user_forward tcp dport @ports4 counter drop"
        ));
        network.reconcile(&HashSet::new()).await.expect_err("it cannot be deleted");
        let told = network.degraded().expect("a reason").message;
        assert!(told.contains("if rules of yours refer to Gorae's chains, sets or maps, remove them"), "{told}");
        assert!(sh("nft list ruleset").contains("counter"), "his rule is still there");
        sh(&format!("nft flush chain inet {name} user_forward"));
        network.reconcile(&HashSet::new()).await.expect("written");
        assert_eq!(network.degraded(), None);
        assert!(call("outside", format!("{NODE}:12420")).is_some());
    });
}

#[test]
fn a_table_of_an_earlier_name_stays_with_the_administrators_rules() {
    as_node("user_rules::a_table_of_an_earlier_name_stays_with_the_administrators_rules", async |root| {
        let config = NetworkConfig { bridge: Some("br9".into()), ..NetworkConfig::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        network.reserve_ports("a", &[tcp("", 12430, 80)], Mapper::Gorae).await.expect("reserved");
        network.publish_at("a", &bridged("a", 2)).await.expect("published");
        let earlier = table();
        sh(&format!("nft add rule inet {earlier} user_forward {RULE}"));
        pod(&network, "b", &[]).await;
        let left = sh(&format!("nft list table inet {earlier}"));
        assert!(left.contains("12400") && !left.contains("hook"), "{left}");
        assert_eq!(sh("nft list table inet gorae-br9").matches("hook").count(), 5);
    });
}

#[test]
fn what_another_firewall_denies_stays_denied() {
    as_node("user_rules::what_another_firewall_denies_stays_denied", async |root| {
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12403, 80), tcp("", 12404, 81)]).await;
        serve("a", "0.0.0.0:80");
        serve("a", "0.0.0.0:81");
        for (deny, allow) in [
            (
                "nft add table inet fw; nft 'add chain inet fw deny { type filter hook forward priority 10; }'
                 nft add rule inet fw deny meta l4proto tcp ct original proto-dst 12403 reject",
                "nft delete table inet fw",
            ),
            ("iptables-nft -A FORWARD -p tcp -m conntrack --ctorigdstport 12403 -j DROP", "iptables-nft -F FORWARD"),
            // A firewall may also look before the translation.
            ("iptables-legacy -t raw -A PREROUTING -p tcp --dport 12403 -j DROP", "iptables-legacy -t raw -F"),
        ] {
            sh(deny);
            assert_eq!(call("outside", format!("{NODE}:12403")), None, "{deny}");
            assert!(call("outside", format!("{NODE}:12404")).is_some(), "{deny}");
            sh(allow);
            assert!(call("outside", format!("{NODE}:12403")).is_some(), "{allow}");
        }
    });
}
