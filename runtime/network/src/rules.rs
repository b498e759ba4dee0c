// SPDX-License-Identifier: Apache-2.0
//! Generates the text of our one nftables table. Pure: [`crate::nft`] passes it to the kernel.
//!
//! ```text
//! prerouting ─┐ to an address of the node      ports4_at: address . protocol . port -> pod address . port
//! output ─────┴──────────► hostports ─ dnat by ports4:             protocol . port -> pod address . port
//! guard        drops traffic from or to 127.0.0.0/8 that does not arrive on the loopback interface. Such an address is
//!              local on every interface, and translation precedes the kernel's own check: otherwise a neighbour could
//!              reach a port published on 127.0.0.1, and so could pods, because their interfaces have route_localnet.
//!              From a pod that we route to, it also drops what has a source that the node would not route there, and what
//!              could make the pod a router of the node. It sees every packet, also those of known connections, because a
//!              pod could forge a source to get into one; so what decides about most comes first. For IPv6, where the
//!              kernel's look-up of a route costs 7 % of a stream, it is asked once a minute: sources6 remembers what it
//!              said (interface . source). Only sources with a route get in, so no pod can fill it
//! hostports    leaves ::1 alone: the kernel sends nothing from there to a pod. The reserved socket, which does not listen,
//!              refuses such a client at once, and it tries 127.0.0.1
//! postrouting  masquerades traffic that leaves the pods' subnets, and traffic that reached a pod through a host port from
//!              the node's loopback, or from a client that the pod would answer past the translation (beside4: client
//!              . pod address . protocol . host port), such as the pod itself
//! forward      user_forward, which is the administrator's: never emptied by us
//! ```
//!
//! No rule names a bridge: pods may hang on one, on a route each, or on what a plugin made. Translation comes after that
//! of Services (-100), whoever wrote his rules last.
//!
//! One host port is one element of a map and one of a set: adding or removing it does not touch any other flow. Chains are
//! written only with the whole table, always in one transaction. The syntax is that of nft 1.0.6 (no `destroy`).

use crate::binding::Binding;
use crate::elements;
use crate::held::{self, HOOKED, MAPS, SETS};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

/// The chain that is the administrator's.
pub const USER_CHAIN: &str = "user_forward";

/// The group of the host ends of pods (the shim's `veth.rs` sets it).
const GROUP: u32 = 0x676f;

/// The most sources of pods that are remembered. Those of more pods are looked up for each packet.
const SOURCES: u32 = 16_384;

/// The inputs of the chains; writes their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Name of the table.
    pub name: String,
    /// The subnets whose traffic is masqueraded when it leaves them. A subnet that the world has a route to is left out.
    pub masqueraded: Vec<IpNet>,
    /// Addresses that are local but not the node's: those of Services in IPVS.
    pub services: BTreeSet<IpAddr>,
}

impl Rules {
    /// The transaction that makes the table hold the chains and these bindings, and nothing else of ours.
    pub fn replace(&self, bindings: &[Binding]) -> String {
        format!("{}{}{}{}", self.clear_chains(), self.chains(), self.flush(), self.contents(bindings))
    }

    /// The same for a table that another version left, or that was changed so that it cannot be kept: our objects are made
    /// anew. `listing` is nft's text of the table.
    pub fn renew(&self, bindings: &[Binding], listing: &str) -> String {
        format!("{}{}{}", held::clear(&self.name, listing), self.chains(), self.contents(bindings))
    }

    /// The transaction that adds the elements of each binding.
    pub fn add(&self, bindings: &[Binding]) -> String {
        elements::text(&self.name, "add", bindings)
    }

    /// The transaction that removes the elements of each binding; all must exist.
    pub fn delete(&self, bindings: &[Binding]) -> String {
        elements::text(&self.name, "delete", bindings)
    }

    /// The transaction that replaces the addresses of Services.
    pub fn replace_services(&self) -> String {
        let mut text = String::new();
        for (set, v4) in [("services4", true), ("services6", false)] {
            let _ = writeln!(text, "flush set inet {} {set}", self.name);
            let some: Vec<String> =
                self.services.iter().filter(|ip| ip.is_ipv4() == v4).map(ToString::to_string).collect();
            if !some.is_empty() {
                let _ = writeln!(text, "add element inet {} {set} {{ {} }}", self.name, some.join(", "));
            }
        }
        text
    }

    fn contents(&self, bindings: &[Binding]) -> String {
        format!("{}{}", self.replace_services(), elements::text(&self.name, "add", bindings))
    }

    /// Takes our chains out of the table. They are added first, because only what exists can be deleted.
    fn clear_chains(&self) -> String {
        let mut text = format!("add table inet {}\n", self.name);
        for verb in ["add", "flush"] {
            for chain in HOOKED.into_iter().chain(["hostports"]) {
                let _ = writeln!(text, "{verb} chain inet {} {chain}", self.name);
            }
        }
        for chain in HOOKED {
            let _ = writeln!(text, "delete chain inet {} {chain}", self.name);
        }
        text
    }

    fn flush(&self) -> String {
        let maps = MAPS.iter().map(|map| format!("flush map inet {} {map}\n", self.name));
        maps.chain(SETS.iter().map(|set| format!("flush set inet {} {set}\n", self.name))).collect()
    }

    fn chains(&self) -> String {
        let (name, masquerades) = (&self.name, self.masqueraded.iter().map(masquerade).collect::<String>());
        format!(
            r#"table inet {name} {{
 map ports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
 map ports4_at {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
 map ports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
 map ports6_at {{ type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }}
 set beside4 {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }}
 set beside6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags interval; }}
 set services4 {{ type ipv4_addr; }}
 set services6 {{ type ipv6_addr; }}
 set sources6 {{ type iface_index . ipv6_addr; flags dynamic, timeout; timeout 1m; gc-interval 1m; size {SOURCES}; }}
 chain {USER_CHAIN} {{
 }}
 chain forward {{ type filter hook forward priority 0; policy accept;
  jump {USER_CHAIN}
 }}
 chain guard {{ type filter hook prerouting priority -300; policy accept;
  iif "lo" accept
  ip daddr 127.0.0.0/8 drop
  ip saddr 127.0.0.0/8 drop
  iifgroup != {GROUP} accept
  meta nfproto ipv4 fib saddr . iif oif missing drop
  icmpv6 type {{ nd-router-advert, nd-redirect }} drop
  iif . ip6 saddr @sources6 accept
  ip6 saddr {{ ::, fe80::/10 }} accept
  meta nfproto ipv6 fib saddr . iif oif missing drop
  add @sources6 {{ iif . ip6 saddr }}
 }}
 chain prerouting {{ type nat hook prerouting priority -99; policy accept;
  fib daddr type local jump hostports
 }}
 chain output {{ type nat hook output priority -99; policy accept;
  fib daddr type local jump hostports
 }}
 chain hostports {{
  ip daddr @services4 return
  ip6 daddr @services6 return
  ip6 daddr ::1 return
  dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
  dnat ip to meta l4proto . th dport map @ports4
  dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
  dnat ip6 to meta l4proto . th dport map @ports6
 }}
 chain postrouting {{ type nat hook postrouting priority 100; policy accept;
  oifname != "lo" ip saddr 127.0.0.0/8 ct status dnat masquerade
{besides}{masquerades} }}
}}
"#,
            besides = besides(),
        )
    }
}

/// The transaction that removes a table of ours, whether it exists or not.
pub fn remove(table: &str) -> String {
    format!("add table inet {table}\ndelete table inet {table}\n")
}

/// nft knows the type of a connection's original port only next to a protocol.
fn besides() -> String {
    let mut text = String::new();
    for (ip, set) in [("ip", "beside4"), ("ip6", "beside6")] {
        for protocol in ["tcp", "udp", "sctp"] {
            let key = format!("{ip} saddr . {ip} daddr . meta l4proto . ct original proto-dst");
            let _ = writeln!(text, "  ct status dnat meta l4proto {protocol} {key} @{set} masquerade");
        }
    }
    text
}

/// Traffic to many is not masqueraded: on a bridge it may pass here, and it stays there.
fn masquerade(subnet: &IpNet) -> String {
    let (ip, many) = match subnet {
        IpNet::V4(_) => ("ip", "224.0.0.0/4, 255.255.255.255"),
        IpNet::V6(_) => ("ip6", "ff00::/8"),
    };
    format!("  {ip} saddr {subnet} {ip} daddr != {{ {subnet}, {many} }} masquerade\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::{Place, Protocol};

    fn rules() -> Rules {
        let masqueraded = vec!["10.64.0.0/20".parse().expect("net")];
        Rules { name: "gorae-1a2b3c".into(), masqueraded, services: BTreeSet::new() }
    }

    fn binding(at: &str, to: &str) -> Binding {
        let place = Place { protocol: Protocol::Udp, at: at.parse().expect("address"), port: 53 };
        Binding::new(place, to.parse().expect("address"))
    }

    #[test]
    fn no_text_names_another_table_and_a_rewrite_leaves_the_administrators_chain() {
        let text = rules().replace(&[binding("127.0.0.1", "10.64.0.2:5353")]);
        for line in text.lines().filter(|l| l.contains(" inet ")) {
            assert!(line.contains("inet gorae-1a2b3c"), "{line}");
            assert!(!line.contains("delete table"), "{line}");
            assert!(!(line.contains("flush") && line.contains(USER_CHAIN)), "{line}");
        }
    }

    #[test]
    fn loopback_addresses_are_taken_from_the_loopback_alone_and_before_any_translation() {
        let text = rules().replace(&[]);
        let guard = text.split_once("chain guard {").and_then(|(_, rest)| rest.split_once('}')).expect("the chain").0;
        assert!(guard.contains("hook prerouting priority -300"), "{guard}");
        for address in ["daddr", "saddr"] {
            let (before, _) = guard.split_once(&format!("ip {address} 127.0.0.0/8 drop")).expect("the rule");
            let accepted: Vec<&str> = before.lines().filter(|line| line.ends_with(" accept")).collect();
            assert_eq!(accepted, ["  iif \"lo\" accept"], "{guard}");
        }
    }

    #[test]
    fn what_leaves_a_subnet_is_masqueraded_and_what_stays_is_not() {
        let text = rules().replace(&[]);
        let wanted = "ip saddr 10.64.0.0/20 ip daddr != { 10.64.0.0/20, 224.0.0.0/4, 255.255.255.255 } masquerade";
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("ip6 saddr fd00"), "{text}");
        let only6 = Rules { masqueraded: vec!["fd00:64::/64".parse().expect("net")], ..rules() }.replace(&[]);
        assert!(only6.contains("ip6 saddr fd00:64::/64 ip6 daddr != { fd00:64::/64, ff00::/8 } masquerade"), "{only6}");
        assert!(!only6.contains("ip saddr 10."), "{only6}");
    }

    #[test]
    fn addresses_of_services_are_two_sets() {
        let services = ["10.96.0.1", "fd00:96::1", "10.96.0.10"].map(|ip| ip.parse().expect("address")).into();
        let text = Rules { services, ..rules() }.replace_services();
        assert!(text.contains("add element inet gorae-1a2b3c services4 { 10.96.0.1, 10.96.0.10 }\n"), "{text}");
        assert!(text.contains("add element inet gorae-1a2b3c services6 { fd00:96::1 }\n"), "{text}");
    }
}
