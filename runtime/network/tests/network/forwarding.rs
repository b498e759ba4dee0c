// SPDX-License-Identifier: Apache-2.0
//! Firewalls of others that drop what the node forwards: told, with the command that helps, or opened.

mod firewalls;

use super::stage::{NODE, OUTSIDE, as_node, call, live, open, pod, serve, sh, take_away, tcp};
use firewalls::{FIREWALLD, FIREWALLS, REFUSING};
use gorae_network::{Network, NetworkConfig};
use std::collections::HashSet;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

async fn opened(root: &Path) -> Network {
    let config = NetworkConfig { open_forward: true, ..NetworkConfig::default() };
    Network::open(config, root, &[]).await.expect("network")
}

/// Everything that any firewall of this node says.
fn rules() -> String {
    sh("nft list ruleset; iptables-legacy -S")
}

/// Two pods; a server outside, and one in the first pod.
async fn two_pods(network: &Network, port: u16) -> IpAddr {
    serve("outside", "0.0.0.0:7000");
    let a = pod(network, "a", &[tcp("", port, 80)]).await;
    pod(network, "b", &[]).await;
    serve("a", "0.0.0.0:80");
    a.ips[0]
}

/// Whether pods reach the world, the world a host port, and pods each other.
fn ways(a: IpAddr, port: u16) -> [bool; 3] {
    let out = call("b", format!("{OUTSIDE}:7000"));
    [out, call("outside", format!("{NODE}:{port}")), call("b", format!("{a}:80"))].map(|answer| answer.is_some())
}

async fn each_is_told(root: &Path, firewalls: &[(&str, &str)]) {
    let network = open(root, &[]).await;
    let a = two_pods(&network, 12200).await;
    for (firewall, name) in firewalls {
        assert_eq!((ways(a, 12200), network.degraded()), ([true; 3], None), "before {firewall}");
        sh(firewall);
        network.reconcile(&HashSet::new()).await.expect("reconciled");
        assert_eq!(ways(a, 12200), [false; 3], "{firewall}");
        let told = network.degraded().expect("told");
        assert_eq!((told.reason, network.status()), ("ForwardingBlocked", Ok(())));
        assert!(told.message.starts_with(&format!("{name} drops the packets of pods (10.64.0.0/20)")), "{told:?}");
        sh(told.message.split('`').nth(1).expect("a command"));
        network.reconcile(&HashSet::new()).await.expect("reconciled");
        assert_eq!(network.degraded(), None, "{firewall}: {}", rules());
        assert_eq!(ways(a, 12200), [true; 3], "{firewall}");
    }
}

#[test]
fn each_is_told_with_a_command_that_helps() {
    as_node("forwarding::each_is_told_with_a_command_that_helps", async |root| each_is_told(root, &FIREWALLS).await);
}

#[test]
fn a_last_rule_that_refuses_is_told_like_a_policy() {
    as_node("forwarding::a_last_rule_that_refuses_is_told_like_a_policy", async |root| {
        each_is_told(root, &REFUSING).await;
    });
}

#[test]
fn open_forward_gets_before_a_last_rule_that_refuses() {
    as_node("forwarding::open_forward_gets_before_a_last_rule_that_refuses", async |root| {
        for (firewall, _) in REFUSING {
            sh(firewall);
        }
        sh(&format!("nft '{FIREWALLD}'"));
        let before = rules();
        let network = opened(root).await;
        let a = two_pods(&network, 12202).await;
        for _ in 0..2 {
            assert_eq!((ways(a, 12202), network.degraded()), ([true; 3], None));
            assert_eq!(rules().matches("open_forward from 10.64.0.0/20").count(), REFUSING.len() + 1, "once each");
            network.reconcile(&HashSet::new()).await.expect("reconciled");
        }
        take_away(&network, "a").await;
        take_away(&network, "b").await;
        assert!(network.remove_if_unused().await.expect("removed"));
        let counters = |rules: String| rules.split("counter packets").count();
        assert_eq!(counters(rules()), counters(before));
        assert!(!rules().contains("open_forward"), "{}", rules());
    });
}

/// Waits until a firewall says this.
fn wait_for(text: &str) {
    let start = Instant::now();
    while !rules().contains(text) {
        assert!(start.elapsed() < Duration::from_secs(5), "no {text}: {}", rules());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn firewalld_is_opened_with_its_own_command() {
    as_node("forwarding::firewalld_is_opened_with_its_own_command", async |root| {
        // From 2.1 on, firewalld owns its table as long as it runs, and nobody else may change it.
        let owned = FIREWALLD.replacen('{', "{ flags owner;", 1).replace('\n', " ");
        let mut firewalld =
            Command::new("nft").arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("nft");
        let commands = firewalld.stdin.as_mut().expect("its input");
        commands.write_all(format!("{owned}\n").as_bytes()).expect("written");
        wait_for("table inet firewalld");
        let network = opened(root).await;
        let a = two_pods(&network, 12203).await;
        // firewalld lets translated packets through by itself.
        assert_eq!(ways(a, 12203), [false, true, false]);
        let told = network.degraded().expect("told");
        let command = "firewall-cmd --permanent --zone=trusted --add-source=10.64.0.0/20 && firewall-cmd --reload";
        assert_eq!((told.reason, told.message.split('`').nth(1)), ("ForwardingBlocked", Some(command)));
        assert!(told.message.contains("network.open_forward could not add its rules: "), "{told:?}");
        // What that command does.
        let source = "ip saddr 10.64.0.0/20 goto filter_FWD_trusted";
        let rule = format!("insert rule inet firewalld filter_FORWARD_ZONES {source}\n");
        commands.write_all(rule.as_bytes()).expect("written");
        wait_for(source);
        network.reconcile(&HashSet::new()).await.expect("reconciled");
        assert_eq!((ways(a, 12203), network.degraded()), ([true; 3], None));
        drop(firewalld.stdin.take());
        firewalld.wait().expect("nft ends");
    });
}

#[test]
fn what_lets_pods_through_is_no_obstacle_and_what_does_not_reach_them_is_one() {
    as_node("forwarding::what_lets_pods_through_is_no_obstacle_and_what_does_not_reach_them_is_one", async |root| {
        let network = open(root, &[]).await;
        let a = two_pods(&network, 12204).await;
        for program in ["iptables-nft", "iptables-legacy"] {
            sh(&format!("{program} -P FORWARD DROP; {program} -N own"));
            for (rules, opens) in [
                ("-A FORWARD -s 10.64.0.0/16 -j ACCEPT; -A FORWARD -d 10.64.0.0/16 -j ACCEPT", true),
                ("-A FORWARD -i gp+ -j ACCEPT; -A FORWARD -o gp+ -j ACCEPT", true),
                ("-A FORWARD -s 192.0.2.99 -j DROP; -A FORWARD -j ACCEPT", true),
                ("-A FORWARD -j own; -A own -i lo -j RETURN; -A own -j ACCEPT", true),
                ("-A FORWARD -m state --state ESTABLISHED -j ACCEPT; -A INPUT -s 10.64.0.0/20 -j ACCEPT", false),
                ("-A INPUT -m state --state ESTABLISHED -j ACCEPT; -A own -s 10.64.0.0/20 -j ACCEPT", false),
                ("-A FORWARD -i gorae+ -j own; -A own -j ACCEPT", false),
                ("-A FORWARD -j own; -A own -j REJECT; -A FORWARD -j ACCEPT", false),
            ] {
                for rule in rules.split("; ") {
                    sh(&format!("{program} {rule}"));
                }
                network.reconcile(&HashSet::new()).await.expect("reconciled");
                assert_eq!((ways(a, 12204), network.degraded().is_none()), ([opens; 3], opens), "{program} {rules}");
                sh(&format!("{program} -F"));
            }
            sh(&format!("{program} -P FORWARD ACCEPT"));
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
