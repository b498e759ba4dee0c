// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::binding::Protocol;
use std::collections::HashSet;

fn pods(subnet: &str) -> Pods {
    let mut pods = Pods::default();
    pods.use_addresses(Addresses::new(subnet.parse().expect("net"), None).expect("large enough"));
    pods
}

/// A port that is very likely free, on an address that only this test uses.
fn port(last: u8, host_port: u16) -> HostPort {
    let host_ip = Some(IpAddr::from([127, 77, 1, last]));
    HostPort { protocol: Protocol::Tcp, host_ip, host_port, container_port: 80 }
}

#[test]
fn a_repeated_reservation_gives_the_same_lease() {
    let mut pods = pods("10.64.0.0/24");
    let first = pods.reserve("a", &[port(1, 8080)]).expect("free");
    assert_eq!(pods.reserve("a", &[port(1, 8080)]).expect("same"), first);
    assert_eq!(first.addresses[0].to_string(), "10.64.0.2/24");
    assert_eq!(first.gateways[0].to_string(), "10.64.0.1");
    assert_eq!(pods.count(), (1, 1));
}

#[test]
fn a_port_that_another_pod_has_is_refused_by_name_and_leaves_nothing_behind() {
    let mut pods = pods("10.64.0.0/24");
    pods.reserve("a", &[port(2, 8080)]).expect("free");
    let any = HostPort { host_ip: None, ..port(2, 8080) };
    let error = pods.reserve("b", &[port(3, 8081), any]).expect_err("taken").to_string();
    assert_eq!(error, "host port 0.0.0.0:8080/tcp is taken by pod a");
    assert_eq!(pods.count(), (1, 1));
    pods.unwant("a");
    pods.reserve("b", &[port(3, 8081), port(2, 8080)]).expect("free now");
}

#[test]
fn an_address_that_a_rule_may_still_lead_to_is_not_given_again() {
    let mut pods = pods("10.64.0.0/30");
    pods.reserve("a", &[port(4, 8080)]).expect("free");
    assert_eq!(pods.want("a").expect("reserved").len(), 1);
    assert_eq!(pods.unwant("a").len(), 1);
    assert!(!pods.forget("a"), "nft has not said that the rule is gone");
    assert!(pods.reserve("b", &[]).is_err());
    pods.rewritten(&HashSet::new());
    assert_eq!(pods.reserve("b", &[]).expect("free").addresses[0].to_string(), "10.64.0.2/30");
    assert_eq!(pods.count(), (1, 0));
}

#[test]
fn a_rewrite_keeps_what_was_wanted_meanwhile() {
    let mut pods = pods("10.64.0.0/24");
    pods.reserve("a", &[port(5, 8080)]).expect("free");
    pods.reserve("b", &[port(6, 8080)]).expect("free");
    pods.want("a").expect("reserved");
    let (bindings, holding) = pods.wanted();
    assert_eq!(bindings.len(), 1);
    pods.want("b").expect("reserved");
    pods.unwant("a");
    pods.rewritten(&holding);
    assert_eq!(pods.unwant("a").len(), 1, "a was in that rewrite");
    assert_eq!(pods.unwant("b").len(), 1, "b may have been added right after it");
}

#[test]
fn a_rewrite_leaves_the_ports_of_a_pod_that_is_not_up_yet() {
    let mut pods = pods("10.64.0.0/24");
    pods.reserve("a", &[port(9, 8080)]).expect("free");
    pods.rewritten(&HashSet::new());
    assert_eq!(pods.count(), (1, 1));
    assert_eq!(pods.want("a").expect("reserved").len(), 1);
}

#[test]
fn a_live_pod_is_taken_over_with_address_and_ports() {
    let mut pods = pods("10.64.0.0/24");
    let port_mappings = vec![gorae_proto::cri::PortMapping {
        protocol: 0,
        container_port: 80,
        host_port: 8080,
        host_ip: "127.77.1.7".into(),
    }];
    let live = LivePod {
        pod_id: "a".into(),
        ips: vec![[10, 64, 0, 9].into()],
        port_mappings,
        from_pool: true,
        ..LivePod::default()
    };
    assert_eq!(pods.adopt(&live), Vec::<String>::new());
    assert_eq!(pods.wanted().0.len(), 1);
    assert!(pods.reserve("b", &[port(7, 8080)]).is_err());
    let lease = pods.reserve("b", &[]).expect("free");
    assert!(lease.addresses[0].addr() > IpAddr::from([10, 64, 0, 9]), "{lease:?}");
    let strange =
        LivePod { pod_id: "c".into(), ips: vec![[10, 1, 0, 9].into()], from_pool: true, ..LivePod::default() };
    assert_eq!(pods.adopt(&strange).len(), 1);
    assert!(pods.forget("c"));
}

#[test]
fn a_thousand_pods_come_and_go_without_a_leak() {
    let mut pods = pods("10.64.0.0/24");
    for i in 0..1000 {
        let id = format!("pod-{i}");
        pods.reserve(&id, &[port(8, 9000 + (i % 50))]).expect("free");
        pods.want(&id).expect("reserved");
        pods.unwant(&id);
        pods.removed(&id);
        assert!(pods.forget(&id));
    }
    assert_eq!(pods.count(), (0, 0));
    assert!(pods.is_empty());
}

#[test]
fn a_pods_ports_are_held_in_both_families_until_it_has_addresses_and_lead_to_nothing_of_the_node() {
    let mut pods = Pods::default();
    let any = HostPort { host_ip: None, host_port: 28_080, ..port(10, 1) };
    pods.reserve_ports("a", &[any], Mapper::Gorae).expect("free");
    assert_eq!((pods.count(), pods.need_table(), pods.is_empty()), ((0, 2), true, true));
    for strange in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::1", "fe80::1", "ff02::1"]
    {
        let error = pods.settle("a", &[strange.parse().expect("address")]).expect_err("no pod has it");
        assert!(error.to_string().contains(strange), "{error}");
    }
    assert_eq!(pods.count(), (0, 2), "nothing changed");
    pods.settle("a", &["10.22.0.2".parse().expect("address")]).expect("a pod's");
    assert_eq!(pods.count(), (0, 1));
    assert_eq!(pods.want("a").expect("reserved")[0].to.to_string(), "10.22.0.2:80");
    let live = LivePod {
        pod_id: "b".into(),
        ips: ["127.0.0.1", "fd00:22::2"].map(|ip| ip.parse().expect("address")).into(),
        port_mappings: vec![gorae_proto::cri::PortMapping {
            host_port: 28_081,
            container_port: 80,
            ..Default::default()
        }],
        ..LivePod::default()
    };
    assert_eq!(pods.adopt(&live), Vec::<String>::new());
    let targets: Vec<String> = pods.all_targets().iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["10.22.0.2", "fd00:22::2"]);
}
