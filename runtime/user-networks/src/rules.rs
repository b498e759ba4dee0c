// SPDX-License-Identifier: Apache-2.0
//! Generates the text of the one nftables table that keeps networks apart. Pure: [`crate::table`] passes it to the kernel.
//!
//! ```text
//! guard        drops what comes over a bridge with a source that the node would not route there, and what could make a pod
//!              a router of the node
//! forward      within    frames between two pods of one network, which pass here where br_netfilter is on; in a network
//!                        whose pods do not reach each other there are none
//!              internal  nothing in, nothing out
//!              then answers, and what a host port leads to
//!              then nothing into a bridge, wherever it comes from, and nothing from one to the built-in network's pods
//! postrouting  masquerades what leaves a network over another interface
//! ```
//!
//! The table is ours alone, and written as a whole in one transaction. It changes only when the first pod comes to a network
//! or the last one goes. What the node itself sends does not pass `forward`. The syntax is that of nft 1.0.6.

use crate::network::Network;
use ipnet::IpNet;
use std::fmt::Write;

/// The group of the host ends of the built-in network's pods (the shim's `plan.rs` sets it).
const BUILT_IN: u32 = 0x676f;
/// The chains that have rules whenever the table exists.
pub const CHAINS: [&str; 2] = ["guard", "forward"];

/// What the rules know of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Name of the bridge.
    pub bridge: String,
    /// Nothing in, nothing out.
    pub internal: bool,
    /// Its pods do not reach each other.
    pub isolated: bool,
    /// Subnets whose traffic leaves with the node's address.
    pub masqueraded: Vec<IpNet>,
}

impl Zone {
    /// That of a network.
    pub fn of(network: &Network) -> Self {
        Self {
            bridge: network.bridge.clone(),
            internal: network.internal,
            isolated: network.isolated,
            masqueraded: network.masqueraded(),
        }
    }

    /// That of a network about which nothing is known but the bridge: its pods reach each other and the node.
    pub fn closed(bridge: String) -> Self {
        Self { bridge, internal: true, isolated: false, masqueraded: Vec::new() }
    }
}

/// The transaction that makes the table hold this and nothing else.
pub fn replace(table: &str, zones: &[Zone]) -> String {
    let quoted = |zones: &mut dyn Iterator<Item = &Zone>| {
        zones.map(|zone| format!("\"{}\"", zone.bridge)).collect::<Vec<_>>().join(", ")
    };
    let within: Vec<String> =
        zones.iter().filter(|zone| !zone.isolated).map(|zone| format!("\"{0}\" . \"{0}\"", zone.bridge)).collect();
    let masquerades: String =
        zones.iter().flat_map(|zone| zone.masqueraded.iter().map(|net| masquerade(zone, net))).collect();
    format!(
        r#"{clear}table inet {table} {{
 set bridges {{ type ifname;{bridges} }}
 set internal {{ type ifname;{internal} }}
 set within {{ type ifname . ifname;{within} }}
 chain guard {{ type filter hook prerouting priority -300; policy accept;
  iifname @bridges icmpv6 type {{ nd-router-advert, nd-redirect }} drop
  iifname @bridges ip6 saddr != {{ ::, fe80::/10 }} fib saddr . iif oif missing drop
  iifname @bridges meta nfproto ipv4 fib saddr . iif oif missing drop
 }}
 chain forward {{ type filter hook forward priority 0; policy accept;
  iifname . oifname @within accept
  iifname @internal drop
  oifname @internal drop
  ct state established,related accept
  ct status dnat accept
  oifname @bridges drop
  iifname @bridges oifgroup {BUILT_IN} drop
 }}
 chain postrouting {{ type nat hook postrouting priority 100; policy accept;
{masquerades} }}
}}
"#,
        clear = remove(table),
        bridges = elements(&quoted(&mut zones.iter())),
        internal = elements(&quoted(&mut zones.iter().filter(|zone| zone.internal))),
        within = elements(&within.join(", ")),
    )
}

/// The transaction that removes the table, whether it exists or not.
pub fn remove(table: &str) -> String {
    format!("add table inet {table}\ndelete table inet {table}\n")
}

fn elements(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" elements = {{ {text} }};") }
}

fn masquerade(zone: &Zone, subnet: &IpNet) -> String {
    let (ip, many) = match subnet {
        IpNet::V4(_) => ("ip", "224.0.0.0/4, 255.255.255.255"),
        IpNet::V6(_) => ("ip6", "ff00::/8"),
    };
    let mut text = String::new();
    let to = format!("{ip} saddr {subnet} {ip} daddr != {{ {subnet}, {many} }}");
    let _ = writeln!(text, "  oifname != \"{}\" {to} masquerade", zone.bridge);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Vec<Zone> {
        let zone = |bridge: &str| Zone { internal: false, ..Zone::closed(bridge.into()) };
        let nets = ["10.128.0.0/24", "fd00:1::/64"].map(|net| net.parse().expect("net"));
        vec![
            Zone { masqueraded: nets.to_vec(), ..zone("gn-a") },
            Zone { isolated: true, ..zone("gn-b") },
            Zone::closed("gn-c".into()),
        ]
    }

    fn chain<'a>(text: &'a str, name: &str) -> &'a str {
        let start = text.split_once(&format!("chain {name} {{")).expect("the chain").1;
        start.split_once("\n }").expect("its end").0
    }

    #[test]
    fn each_network_is_in_the_sets_that_it_belongs_to() {
        let text = replace("gorae-1-user", &zones());
        for line in [
            r#"set bridges { type ifname; elements = { "gn-a", "gn-b", "gn-c" }; }"#,
            r#"set internal { type ifname; elements = { "gn-c" }; }"#,
            r#"set within { type ifname . ifname; elements = { "gn-a" . "gn-a", "gn-c" . "gn-c" }; }"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(replace("t", &[]).contains("set internal { type ifname; }"));
    }

    #[test]
    fn what_is_asked_for_or_published_is_let_in_before_everything_else_is_dropped() {
        let text = replace("gorae-1-user", &zones());
        let forward = chain(&text, "forward");
        let at = |rule: &str| forward.find(rule).unwrap_or_else(|| panic!("{rule} in {forward}"));
        let order = [
            "iifname . oifname @within accept",
            "iifname @internal drop",
            "oifname @internal drop",
            "ct state established,related accept",
            "ct status dnat accept",
            "oifname @bridges drop",
            "iifname @bridges oifgroup 26479 drop",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{forward}");
    }

    #[test]
    fn only_what_leaves_over_another_interface_is_masqueraded() {
        let text = replace("gorae-1-user", &zones());
        let nat = chain(&text, "postrouting");
        let wanted =
            "oifname != \"gn-a\" ip saddr 10.128.0.0/24 ip daddr != { 10.128.0.0/24, 224.0.0.0/4, 255.255.255.255 }";
        assert!(nat.contains(wanted), "{nat}");
        assert_eq!(nat.matches("masquerade").count(), 2);
    }

    #[test]
    fn no_text_names_another_table() {
        for line in replace("gorae-1-user", &zones()).lines().filter(|line| line.contains(" inet ")) {
            assert!(line.contains("inet gorae-1-user"), "{line}");
        }
    }
}
