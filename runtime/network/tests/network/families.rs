// SPDX-License-Identifier: Apache-2.0
//! Pods with an IPv4 and an IPv6 address.

use super::stage::{as_node, call, pod, serve, tcp};
use gorae_network::{Network, NetworkConfig};
use std::net::IpAddr;

#[test]
fn with_an_ipv6_subnet_pods_have_both_families_and_host_ports_in_both() {
    as_node("families::with_an_ipv6_subnet_pods_have_both_families_and_host_ports_in_both", async |root| {
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        let a = pod(&network, "a", &[tcp("", 12010, 80)]).await;
        let b = pod(&network, "b", &[]).await;
        assert_eq!((a.ips.len(), b.ips[1].to_string().as_str()), (2, "fd00:64::3"));
        serve("a", "[::]:80");
        serve("outside", "[::]:7000");
        let node: IpAddr = "fd00:2::2".parse().expect("address");
        assert_eq!(call("b", "[fd00:2::1]:7000"), Some(node));
        assert_eq!(call("b", format!("[{}]:80", a.ips[1])), Some(b.ips[1]));
        assert!(call("outside", "[fd00:2::2]:12010").is_some());
        assert!(call("b", "[fd00:2::2]:12010").is_some());
        assert!(call("", "[fd00:2::2]:12010").is_some());
        assert!(call("", "127.0.0.1:12010").is_some());
    });
}
