// SPDX-License-Identifier: Apache-2.0
//! What is said about a firewall that drops the traffic of pods: where, and the command that helps.

use super::gate::{Gate, Place};
use super::rule::Rule;
use super::ufw;
use super::walk::Chains;
use crate::error::NetworkError;
use ipnet::IpNet;

/// The table of firewalld. It may belong to firewalld alone, and firewalld writes it anew.
const FIREWALLD: &str = "firewalld";

/// Why and where packets are dropped, and the command that helps: the firewall's own, if it has one. `chains` are those of its
/// table; `failed` is what `network.open_forward` met.
pub fn complaint(gate: &Gate, chains: &Chains, wanted: &[Rule], failed: Option<&NetworkError>) -> String {
    let subnets: Vec<String> = wanted.iter().filter(|rule| rule.from).map(|rule| rule.subnet.to_string()).collect();
    let or = failed.map_or_else(
        || "or set network.open_forward = true".into(),
        |error| format!("because network.open_forward could not add its rules: {error}"),
    );
    format!(
        "{} drops the packets of pods ({}) that this node forwards; run `{}`, {or}",
        gate.name(),
        subnets.join(", "),
        cures(gate, chains, wanted).join(" && ")
    )
}

fn cures(gate: &Gate, chains: &Chains, wanted: &[Rule]) -> Vec<String> {
    if ufw::decides(chains, gate.chain()) {
        let way = |rule: &Rule| if rule.from { "from" } else { "to" };
        return wanted.iter().map(|rule| format!("ufw route allow {} {}", way(rule), rule.subnet)).collect();
    }
    if !matches!(&gate.place, Place::Nft { table, .. } if table == FIREWALLD) {
        return wanted.iter().map(|rule| cure(gate, rule)).collect();
    }
    let sources = wanted.iter().filter(|rule| rule.from);
    let adds = sources.map(|rule| format!("firewall-cmd --permanent --zone=trusted --add-source={}", rule.subnet));
    adds.chain(["firewall-cmd --reload".into()]).collect()
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
        let said = complaint(&filter, &Chains::new(), &filter.rules_for("gorae-1", &subnets()), None);
        assert!(
            said.starts_with("chain FORWARD of table ip filter drops the packets of pods (10.64.0.0/20)"),
            "{said}"
        );
        let command =
            "`iptables -I FORWARD -s 10.64.0.0/20 -j ACCEPT && iptables -I FORWARD -d 10.64.0.0/20 -j ACCEPT`";
        assert!(said.contains(command), "{said}");
        let both = gate("inet", "fw", "forwarded");
        let said = complaint(&both, &Chains::new(), &both.rules_for("gorae-1", &subnets()), None);
        for command in [
            "nft insert rule inet fw forwarded ip saddr 10.64.0.0/20 accept",
            "nft insert rule inet fw forwarded ip6 daddr fd00:64::/64 accept`",
        ] {
            assert!(said.contains(command), "{said}");
        }
    }

    #[test]
    fn ufw_is_asked_in_its_own_words() {
        let gate = gate("ip6", "filter", "FORWARD");
        let chains =
            gate.read("table ip6 filter {\nchain FORWARD {\ncounter packets 0 bytes 0 jump ufw6-user-forward\n}\n}");
        let said = complaint(&gate, &chains, &gate.rules_for("gorae-1", &subnets()), None);
        let command = "run `ufw route allow from fd00:64::/64 && ufw route allow to fd00:64::/64`, or";
        assert!(said.contains(command), "{said}");
    }

    #[test]
    fn firewalld_is_asked_in_its_own_words_and_a_failure_is_told() {
        let gate = gate("inet", "firewalld", "filter_FORWARD");
        let failed = NetworkError::Iptables { program: "iptables", why: "it is not installed".into() };
        let said = complaint(&gate, &Chains::new(), &gate.rules_for("gorae-1", &subnets()), Some(&failed));
        let command = "`firewall-cmd --permanent --zone=trusted --add-source=10.64.0.0/20 && \
                       firewall-cmd --permanent --zone=trusted --add-source=fd00:64::/64 && firewall-cmd --reload`, because";
        assert!(said.contains(command) && said.ends_with(&failed.to_string()), "{said}");
    }
}
