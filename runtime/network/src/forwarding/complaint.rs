// SPDX-License-Identifier: Apache-2.0
//! What is said about a firewall that drops the traffic of pods: where, and the command that helps.

use super::gate::{Gate, Place};
use super::rule::Rule;
use ipnet::IpNet;

/// Why and where packets are dropped, and the command that helps.
pub fn complaint(gate: &Gate, wanted: &[Rule]) -> String {
    let subnets: Vec<String> = wanted.iter().filter(|rule| rule.from).map(|rule| rule.subnet.to_string()).collect();
    let commands: Vec<String> = wanted.iter().map(|rule| cure(gate, rule)).collect();
    format!(
        "{} drops the packets of pods ({}) that this node forwards; run `{}`, or set network.open_forward = true",
        gate.name(),
        subnets.join(", "),
        commands.join(" && ")
    )
}

fn cure(gate: &Gate, rule: &Rule) -> String {
    let program = if matches!(rule.subnet, IpNet::V4(_)) { "iptables" } else { "ip6tables" };
    let program = match &gate.place {
        Place::Nft { family, table, chain } if table != "filter" || chain != "FORWARD" || *family == "inet" => {
            return format!("nft insert rule {family} {table} {chain} {}", rule.words());
        }
        Place::Nft { .. } => program.to_owned(),
        Place::Legacy { .. } => format!("{program}-legacy"),
    };
    format!("{program} -I FORWARD {} {} -j ACCEPT", rule.option(), rule.subnet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(family: &'static str, table: &str, chain: &str) -> Gate {
        let place = Place::Nft { family, table: table.into(), chain: chain.into() };
        Gate { place, policy: true, last: false, ours: Vec::new() }
    }

    fn subnets() -> Vec<IpNet> {
        ["10.64.0.0/20", "fd00:64::/64"].map(|net| net.parse().expect("net")).into()
    }

    #[test]
    fn the_complaint_has_the_command_for_the_chain_and_its_families_only() {
        let filter = gate("ip", "filter", "FORWARD");
        let said = complaint(&filter, &filter.rules_for("gorae-1", &subnets()));
        assert!(
            said.starts_with("chain FORWARD of table ip filter drops the packets of pods (10.64.0.0/20)"),
            "{said}"
        );
        let command =
            "`iptables -I FORWARD -s 10.64.0.0/20 -j ACCEPT && iptables -I FORWARD -d 10.64.0.0/20 -j ACCEPT`";
        assert!(said.contains(command), "{said}");
        let both = gate("inet", "fw", "forwarded");
        let said = complaint(&both, &both.rules_for("gorae-1", &subnets()));
        for command in [
            "nft insert rule inet fw forwarded ip saddr 10.64.0.0/20 accept",
            "nft insert rule inet fw forwarded ip6 daddr fd00:64::/64 accept`",
        ] {
            assert!(said.contains(command), "{said}");
        }
    }
}
