// SPDX-License-Identifier: Apache-2.0
//! Firewalls of others that drop what the node forwards: told, with the command that helps, or opened.

use super::stage::{NODE, OUTSIDE, as_node, call, live, open, pod, serve, sh, take_away, tcp};
use gorae_network::{Network, NetworkConfig};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;

/// A way to drop what is forwarded, and what the message calls it.
const FIREWALLS: [(&str, &str); 4] = [
    ("iptables-nft -P FORWARD DROP", "chain FORWARD of table ip filter"),
    ("iptables-legacy -P FORWARD DROP", "chain FORWARD of iptables-legacy"),
    (
        "nft add table ip fw; nft 'add chain ip fw forwarded { type filter hook forward priority 0; policy drop; }'",
        "chain forwarded of table ip fw",
    ),
    (
        "nft add table inet fw; nft 'add chain inet fw passing { type filter hook forward priority -5; policy drop; }'
         nft add rule inet fw passing ct state established accept",
        "chain passing of table inet fw",
    ),
];

async fn opened(root: &Path) -> Network {
    let config = NetworkConfig { open_forward: true, ..NetworkConfig::default() };
    Network::open(config, root, &[]).await.expect("network")
}

/// Everything that any firewall of this node says.
fn rules() -> String {
    sh("nft list ruleset; iptables-legacy -S")
}

#[test]
fn each_is_told_with_a_command_that_helps() {
    as_node("forwarding::each_is_told_with_a_command_that_helps", async |root| {
        serve("outside", "0.0.0.0:7000");
        let network = open(root, &[]).await;
        pod(&network, "a", &[tcp("", 12200, 80)]).await;
        serve("a", "0.0.0.0:80");
        for (firewall, name) in FIREWALLS {
            assert!(
                call("a", format!("{OUTSIDE}:7000")).is_some() && network.degraded().is_none(),
                "before {firewall}"
            );
            sh(firewall);
            network.reconcile(&HashSet::new()).await.expect("reconciled");
            assert_eq!(call("outside", format!("{NODE}:12200")), None, "{firewall}");
            let told = network.degraded().expect("told");
            assert_eq!((told.reason, network.status()), ("ForwardingBlocked", Ok(())));
            assert!(told.message.starts_with(&format!("{name} drops the packets of pods (10.64.0.0/20)")), "{told:?}");
            sh(told.message.split('`').nth(1).expect("a command"));
            network.reconcile(&HashSet::new()).await.expect("reconciled");
            assert_eq!(network.degraded(), None, "{firewall}: {}", rules());
            assert!(call("outside", format!("{NODE}:12200")).is_some(), "{firewall}");
        }
    });
}

#[test]
fn a_start_sees_one_that_was_there_before() {
    as_node("forwarding::a_start_sees_one_that_was_there_before", async |root| {
        sh(FIREWALLS[0].0);
        let network = open(root, &[]).await;
        assert_eq!(network.degraded(), None, "the built-in network is not in use");
        let a = pod(&network, "a", &[]).await;
        assert_eq!(network.degraded().expect("told").reason, "ForwardingBlocked");
        drop(network);
        let again = open(root, &[live("a", &a, &[])]).await;
        assert_eq!(again.degraded().expect("told").reason, "ForwardingBlocked");
        take_away(&again, "a").await;
        assert!(again.remove_if_unused().await.expect("removed"));
        assert_eq!(again.degraded(), None, "nothing is left that could be dropped");
    });
}

#[test]
fn open_forward_opens_each_as_long_as_the_network_is_in_use() {
    as_node("forwarding::open_forward_opens_each_as_long_as_the_network_is_in_use", async |root| {
        serve("outside", "0.0.0.0:7000");
        for (firewall, _) in FIREWALLS {
            sh(firewall);
        }
        let before = rules();
        let network = opened(root).await;
        assert_eq!(rules(), before, "nothing needs them yet");
        pod(&network, "a", &[tcp("", 12201, 80)]).await;
        serve("a", "0.0.0.0:80");
        assert_eq!(rules().matches("open_forward from 10.64.0.0/20").count(), FIREWALLS.len());
        let node: IpAddr = NODE.parse().expect("address");
        assert_eq!(call("a", format!("{OUTSIDE}:7000")), Some(node));
        assert!(call("outside", format!("{NODE}:12201")).is_some());
        network.reconcile(&HashSet::new()).await.expect("reconciled");
        assert_eq!(rules().matches("open_forward to 10.64.0.0/20").count(), FIREWALLS.len(), "once each");
        // A firewall that is loaded anew loses them until the next look.
        sh("iptables-nft -F FORWARD; iptables-legacy -F FORWARD");
        assert_eq!(call("outside", format!("{NODE}:12201")), None);
        network.reconcile(&HashSet::new()).await.expect("reconciled");
        assert!(call("outside", format!("{NODE}:12201")).is_some());
        take_away(&network, "a").await;
        assert!(network.remove_if_unused().await.expect("removed"));
        assert_eq!(rules(), before);
    });
}

#[test]
fn what_open_forward_added_goes_when_it_is_switched_off_and_follows_the_subnet() {
    as_node("forwarding::what_open_forward_added_goes_when_it_is_switched_off_and_follows_the_subnet", async |root| {
        for (firewall, _) in FIREWALLS {
            sh(firewall);
        }
        let network = opened(root).await;
        pod(&network, "a", &[]).await;
        take_away(&network, "a").await;
        network.set_pod_cidr("10.244.3.0/24").await.expect("set");
        let b = pod(&network, "b", &[]).await;
        let now = rules();
        assert!(!now.contains("open_forward from 10.64.0.0/20"), "{now}");
        assert_eq!(now.matches("open_forward from 10.244.3.0/24").count(), FIREWALLS.len(), "{now}");
        drop(network);
        let off = open(root, &[live("b", &b, &[])]).await;
        assert!(!rules().contains("open_forward"), "{}", rules());
        assert_eq!(off.degraded().expect("told").reason, "ForwardingBlocked");
    });
}
