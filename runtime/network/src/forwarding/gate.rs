// SPDX-License-Identifier: Apache-2.0
//! A chain of somebody else that sees forwarded packets, and our rules in it.

use super::rule::{Ours, Rule};
use super::walk::{Chains, Fate, walk};
use super::{iptables_text, nft_text};
use ipnet::IpNet;

/// Where a chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a table of nf_tables. iptables-nft has its own there, too.
    Nft {
        /// `ip`, `ip6` or `inet`.
        family: &'static str,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
    },
    /// `FORWARD` of the table `filter` of iptables-legacy: for IPv4, or for IPv6.
    Legacy {
        /// Whether it is that for IPv4.
        v4: bool,
    },
}

/// A chain that sees forwarded packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Where it is.
    pub place: Place,
    /// Whether its policy drops what none of its rules decides about.
    pub policy: bool,
    /// Whether its last rule drops or rejects all that gets there.
    pub last: bool,
    /// Our rules in it.
    pub ours: Vec<Ours>,
}

impl Gate {
    /// Its name for people.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Nft { family, table, chain } => format!("chain {chain} of table {family} {table}"),
            Place::Legacy { v4: true } => "chain FORWARD of iptables-legacy".into(),
            Place::Legacy { v4: false } => "chain FORWARD of ip6tables-legacy".into(),
        }
    }

    /// Whether it drops or rejects what none of its other rules accepts.
    pub fn drops(&self) -> bool {
        self.policy || self.last
    }

    /// Reads a listing of its table.
    pub fn read(&self, listing: &str) -> Chains {
        match &self.place {
            Place::Nft { .. } => nft_text::chains(listing),
            Place::Legacy { .. } => iptables_text::chains(listing),
        }
    }

    /// The chain's name in its table.
    pub fn chain(&self) -> &str {
        if let Place::Nft { chain, .. } = &self.place { chain } else { "FORWARD" }
    }

    /// Whether, by the chains of its table, it accepts packets from each of the subnets that it sees, and packets to it or at
    /// least answers.
    pub fn lets_through(&self, chains: &Chains, subnets: &[IpNet]) -> bool {
        let passes = |subnet, from| match walk(chains, self.chain(), subnet, from) {
            Fate::Accepted => true,
            Fate::Refused => false,
            Fate::Undecided => !self.policy,
        };
        subnets.iter().filter(|subnet| self.sees(subnet)).all(|subnet| passes(subnet, true) && passes(subnet, false))
    }

    /// Whether packets of the subnet's family pass here.
    pub fn sees(&self, subnet: &IpNet) -> bool {
        let v4 = matches!(subnet, IpNet::V4(_));
        match &self.place {
            Place::Nft { family, .. } => *family == "inet" || (*family == "ip") == v4,
            Place::Legacy { v4: only } => *only == v4,
        }
    }

    /// The rules that it should have for these subnets.
    pub fn rules_for(&self, owner: &str, subnets: &[IpNet]) -> Vec<Rule> {
        let seen = subnets.iter().filter(|subnet| self.sees(subnet));
        seen.flat_map(|subnet| [true, false].map(|from| Rule::new(owner, *subnet, from))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(place: Place, listing: &str) -> bool {
        let gate = Gate { place, policy: true, last: false, ours: Vec::new() };
        gate.lets_through(&gate.read(listing), &["10.64.0.0/20".parse().expect("net")])
    }

    /// Whether these rules of the chain `x`, and what is after a line with `}`, open it.
    fn nft(rules: &str) -> bool {
        let place = Place::Nft { family: "inet", table: "fw".into(), chain: "x".into() };
        opens(place, &format!("table inet fw {{\nchain x {{\ntype filter hook forward; policy drop;\n{rules}\n}}\n}}"))
    }

    fn iptables(rules: &str) -> bool {
        opens(Place::Legacy { v4: true }, &format!("-P FORWARD DROP\n{rules}"))
    }

    #[test]
    fn a_firewall_that_accepts_both_directions_is_no_obstacle() {
        for open in [
            "ip saddr 10.64.0.0/20 counter accept\nip daddr 10.64.0.0/20 accept comment \"x\"",
            "ct state established,related counter accept\nip saddr 10.64.0.0/20 counter accept",
            "ct state vmap { established : accept, invalid : drop }\nip saddr { 10.1.0.0/16, 10.64.0.0/16 } accept",
            "ip saddr 10.0.0.0/8 accept\nip daddr 10.0.0.0/8 accept",
            "iifname \"gp*\" oifname != \"gp*\" accept\noifname \"gp*\" accept\ndrop",
            "iifname \"eth0\" tcp dport 22 drop\naccept",
            "jump y\n}\nchain y {\niifname != \"eth0\" goto z\nct state established accept\n}\nchain z {\naccept",
        ] {
            assert!(nft(open), "{open}");
        }
        for open in [
            "-A FORWARD -j u\n-A u -s 10.64.0.0/20 -j ACCEPT\n-A u -d 10.64.0.0/20 -j ACCEPT",
            "-A FORWARD -s 10.64.0.0/16 -m comment --comment \"a b\" -j ACCEPT\n-A FORWARD -d 10.64.0.0/16 -j ACCEPT",
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i gp+ -j ACCEPT",
            "-A FORWARD -j DOCKER-USER\n-A FORWARD -j LOG\n-A FORWARD -j ACCEPT\n-A DOCKER-USER -j RETURN",
        ] {
            assert!(iptables(open), "{open}");
        }
    }

    #[test]
    fn a_rule_for_others_or_one_that_is_not_reached_opens_nothing() {
        for shut in [
            "ip saddr 10.64.0.0/20 drop",
            "ip saddr 10.64.1.0/24 accept",
            "ip daddr 10.64.0.0/20 accept",
            "ip saddr 10.64.0.0/20 ip daddr 10.64.0.0/20 accept",
            "iifname \"gp*\" oifname \"gp*\" accept",
            "iifname \"gorae-*\" accept",
            "ip saddr != 10.64.0.0/16 accept",
            "tcp dport 80 accept",
            "reject\naccept",
            "jump y\naccept\n}\nchain y {\ndrop",
            "iifname \"eth1\" jump y\n}\nchain y {\naccept",
            "}\nchain input {\nip saddr 10.64.0.0/20 accept\naccept",
            "jump x\naccept",
        ] {
            assert!(!nft(&format!("ct state established accept\n{shut}")), "{shut}");
        }
        let answers = "-A FORWARD -m state --state ESTABLISHED -j ACCEPT";
        assert!(!iptables(&format!("{answers}\n-A INPUT -s 10.64.0.0/20 -j ACCEPT\n-A u -j ACCEPT")));
        assert!(!iptables(&format!("{answers}\n-A FORWARD ! -s 10.64.0.0/20 -j ACCEPT")));
        assert!(!iptables(&format!(
            "-A INPUT {}\n-A FORWARD -s 10.64.0.0/20 -j ACCEPT",
            "-m state --state ESTABLISHED -j ACCEPT"
        )));
    }

    #[test]
    fn without_such_a_policy_what_returns_before_the_last_rule_passes() {
        let place = Place::Legacy { v4: true };
        let gate = Gate { place, policy: false, last: true, ours: Vec::new() };
        let net = &["10.64.0.0/20".parse().expect("net")];
        let own = "-A FORWARD -s 10.64.0.0/20 -j RETURN\n-A FORWARD -d 10.64.0.0/20 -j RETURN";
        assert!(gate.lets_through(&gate.read(&format!("{own}\n-A FORWARD -j REJECT")), net));
        assert!(!gate.lets_through(&gate.read("-A FORWARD -j REJECT"), net));
    }
}
