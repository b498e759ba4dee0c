// SPDX-License-Identifier: Apache-2.0
//! Generates the text of our one nftables table. Pure: [`crate::nft`] passes it to the kernel.
//!
//! ```text
//! prerouting ─┐ to an address of the node      ports4_at: address . protocol . port -> pod address . port
//! output ─────┴──────────► hostports ─ dnat by ports4:             protocol . port -> pod address . port
//! guard        drops traffic from or to 127.0.0.0/8 that does not arrive on the loopback interface. Such an address is
//!              local on every interface, and translation precedes the kernel's own check: otherwise a neighbour could
//!              reach a port published on 127.0.0.1, and so could pods, because the bridge has route_localnet
//! postrouting  masquerades traffic that leaves the bridge, and traffic that reached a pod through a host port from the
//!              node's loopback or from a pod (otherwise the reply would bypass the translation)
//! ```
//!
//! One host port is one map element: adding or removing it does not touch any other flow. Chains are written only with
//! the whole table, always in one transaction. The syntax is that of nft 1.0.6 (no `destroy`).

use crate::binding::Binding;
use crate::record::Record;
use ipnet::{Ipv4Net, Ipv6Net};
use std::fmt::Write;
use std::net::IpAddr;

/// Packet mark between our prerouting and postrouting: "from a pod, to a host port". Sets one bit and clears none.
const MARK: &str = "0x2000";

/// The inputs of the chains; writes their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules<'a> {
    /// Name of the table.
    pub name: &'a str,
    /// Name of the bridge.
    pub bridge: &'a str,
    /// Subnet of the pods.
    pub subnet: Ipv4Net,
    /// IPv6 subnet of the pods.
    pub subnet6: Option<Ipv6Net>,
}

impl<'a> Rules<'a> {
    /// The rules of a recorded network.
    pub fn of(record: &'a Record) -> Self {
        Self { name: &record.table, bridge: &record.bridge, subnet: record.subnet, subnet6: record.subnet6 }
    }

    /// The transaction that replaces whatever the table holds with the chains and these bindings.
    pub fn replace(&self, bindings: &[Binding]) -> String {
        format!("{}{}{}", self.remove(), self.chains(), self.elements("add", bindings))
    }

    /// The transaction that removes the table, whether it exists or not.
    pub fn remove(&self) -> String {
        format!("add table inet {0}\ndelete table inet {0}\n", self.name)
    }

    /// The transaction that adds one element for each binding.
    pub fn add(&self, bindings: &[Binding]) -> String {
        self.elements("add", bindings)
    }

    /// The transaction that removes one element for each binding; all must exist.
    pub fn delete(&self, bindings: &[Binding]) -> String {
        self.elements("delete", bindings)
    }

    fn elements(&self, verb: &str, bindings: &[Binding]) -> String {
        let mut text = String::new();
        for binding in bindings {
            let (map, key) = key(binding);
            let value = if verb == "add" { value(binding) } else { String::new() };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{verb} element inet {} {map} {{ {key}{value} }}", self.name);
        }
        text
    }

    fn chains(&self) -> String {
        let Self { name, bridge, subnet, .. } = self;
        let (mark6, leave6) = match self.subnet6 {
            None => (String::new(), String::new()),
            Some(net) => (
                format!("  ip6 saddr {net} meta mark set meta mark | {MARK}\n"),
                format!("  ip6 saddr {net} oifname != \"{bridge}\" masquerade\n"),
            ),
        };
        format!(
            r#"table inet {name} {{
 map ports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
 map ports4_at {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
 map ports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
 map ports6_at {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
 chain guard {{ type filter hook prerouting priority -300; policy accept;
  iifname != "lo" ip daddr 127.0.0.0/8 drop
  iifname != "lo" ip saddr 127.0.0.0/8 drop
 }}
 chain prerouting {{ type nat hook prerouting priority -100; policy accept;
  fib daddr type local jump hostports
 }}
 chain output {{ type nat hook output priority -100; policy accept;
  fib daddr type local jump hostports
 }}
 chain hostports {{
  ip saddr {subnet} meta mark set meta mark | {MARK}
{mark6}  dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
  dnat ip to meta l4proto . th dport map @ports4
  dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
  dnat ip6 to meta l4proto . th dport map @ports6
 }}
 chain postrouting {{ type nat hook postrouting priority 100; policy accept;
  oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
  oifname "{bridge}" ct status dnat meta mark & {MARK} == {MARK} masquerade
  ip saddr {subnet} oifname != "{bridge}" masquerade
{leave6} }}
}}
"#
        )
    }
}

/// The map of a binding and the key of its element.
fn key(binding: &Binding) -> (&'static str, String) {
    let Binding { protocol, at, port, .. } = binding;
    match (at, at.is_unspecified()) {
        (IpAddr::V4(_), true) => ("ports4", format!("{protocol} . {port}")),
        (IpAddr::V6(_), true) => ("ports6", format!("{protocol} . {port}")),
        (IpAddr::V4(_), false) => ("ports4_at", format!("{at} . {protocol} . {port}")),
        (IpAddr::V6(_), false) => ("ports6_at", format!("{at} . {protocol} . {port}")),
    }
}

fn value(binding: &Binding) -> String {
    format!(" : {} . {}", binding.to.ip(), binding.to.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Protocol;

    fn rules() -> Rules<'static> {
        Rules {
            name: "gorae-1a2b3c",
            bridge: "gorae-1a2b3c",
            subnet: "10.64.0.0/20".parse().expect("net"),
            subnet6: None,
        }
    }

    fn binding(at: &str, to: &str) -> Binding {
        Binding {
            protocol: Protocol::Udp,
            at: at.parse().expect("address"),
            port: 53,
            to: to.parse().expect("address"),
        }
    }

    #[test]
    fn one_host_port_is_one_element() {
        let any = [binding("0.0.0.0", "10.64.0.2:5353")];
        assert_eq!(rules().add(&any), "add element inet gorae-1a2b3c ports4 { udp . 53 : 10.64.0.2 . 5353 }\n");
        assert_eq!(rules().delete(&any), "delete element inet gorae-1a2b3c ports4 { udp . 53 }\n");
        let at = [binding("fd00::1", "[fd01::2]:5353")];
        assert_eq!(
            rules().add(&at),
            "add element inet gorae-1a2b3c ports6_at { fd00::1 . udp . 53 : fd01::2 . 5353 }\n"
        );
    }

    #[test]
    fn a_rewrite_first_drops_the_table_and_names_no_other() {
        let text = rules().replace(&[binding("127.0.0.1", "10.64.0.2:5353")]);
        assert!(text.starts_with("add table inet gorae-1a2b3c\ndelete table inet gorae-1a2b3c\ntable inet"));
        assert!(text.trim_end().ends_with("ports4_at { 127.0.0.1 . udp . 53 : 10.64.0.2 . 5353 }"));
        for line in text.lines().filter(|line| line.contains("table inet ")) {
            assert!(line.contains("table inet gorae-1a2b3c"), "{line}");
        }
    }

    #[test]
    fn loopback_addresses_are_taken_from_the_loopback_alone_and_before_any_translation() {
        let text = rules().replace(&[]);
        let guard = text.split_once("chain guard").and_then(|(_, rest)| rest.split_once('}')).expect("the chain").0;
        assert!(guard.contains("hook prerouting priority -300"), "{guard}");
        for address in ["daddr", "saddr"] {
            assert!(guard.contains(&format!("iifname != \"lo\" ip {address} 127.0.0.0/8 drop")), "{guard}");
        }
    }

    #[test]
    fn pod_to_pod_traffic_is_not_masqueraded_but_what_leaves_the_bridge_is() {
        let text = rules().replace(&[]);
        assert!(text.contains("ip saddr 10.64.0.0/20 oifname != \"gorae-1a2b3c\" masquerade"));
        assert!(!text.contains("ip6 saddr"));
        let dual = Rules { subnet6: Some("fd00:64::/64".parse().expect("net")), ..rules() };
        assert!(dual.replace(&[]).contains("ip6 saddr fd00:64::/64 oifname != \"gorae-1a2b3c\" masquerade"));
    }
}
