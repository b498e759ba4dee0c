// SPDX-License-Identifier: Apache-2.0
//! A chain of somebody else that sees forwarded packets, and our rules in it.

use super::rule::{Ours, Rule};
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
    /// Whether it drops what none of its rules accepts.
    pub drops: bool,
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

    /// Whether a listing of its table has rules that accept packets from each of the subnets that it sees, and packets to
    /// it or at least answers.
    pub fn lets_through(&self, listing: &str, subnets: &[IpNet]) -> bool {
        let lines: Vec<String> = listing.lines().map(|line| format!("{} ", line.trim())).collect();
        let accepting: Vec<&String> =
            lines.iter().filter(|line| line.contains(" accept ") || line.contains(" -j ACCEPT ")).collect();
        let has = |word: &str| accepting.iter().any(|line| line.to_lowercase().contains(word));
        let seen = subnets.iter().filter(|subnet| self.sees(subnet));
        seen.into_iter().all(|subnet| {
            let (from, to) = (
                [format!("saddr {subnet} "), format!("-s {subnet} ")],
                [format!("daddr {subnet} "), format!("-d {subnet} ")],
            );
            from.iter().any(|word| has(word)) && (to.iter().any(|word| has(word)) || has("established"))
        })
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

    #[test]
    fn a_firewall_that_accepts_both_directions_is_no_obstacle() {
        let gate = Gate {
            place: Place::Nft { family: "inet", table: "fw".into(), chain: "forwarded".into() },
            drops: true,
            ours: Vec::new(),
        };
        let net = &["10.64.0.0/20".parse().expect("net")];
        let nft = "chain x {\n ip saddr 10.64.0.0/20 counter accept\n ip daddr 10.64.0.0/20 accept comment \"x\"\n}";
        assert!(gate.lets_through(nft, net));
        let iptables = "-P FORWARD DROP\n-A ufw-user-forward -s 10.64.0.0/20 -j ACCEPT\n-A x -d 10.64.0.0/20 -j ACCEPT";
        assert!(gate.lets_through(iptables, net));
        let answers = "ct state established,related counter accept\nip saddr 10.64.0.0/20 counter accept";
        assert!(gate.lets_through(answers, net));
        for others in ["ip saddr 10.64.0.0/20 drop", "ip saddr 10.64.0.0/16 accept", "ip daddr 10.64.0.0/20 accept"] {
            let listing = format!("{others}\nct state established accept\n");
            assert!(!gate.lets_through(&listing, net), "{others}");
        }
    }
}
