// SPDX-License-Identifier: Apache-2.0
//! A rule of ours in somebody else's chain: it accepts what comes from a subnet of the pods, or goes there. Its comment says
//! whose it is and what it does, so that it is found again.

use ipnet::IpNet;

/// A rule of ours that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its comment, which tells what it accepts.
    pub comment: String,
    /// Its number in the chain, in nf_tables.
    pub handle: u64,
}

/// A rule of ours that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whose packets it accepts, or those to whom.
    pub subnet: IpNet,
    /// Whether it accepts those from the subnet.
    pub from: bool,
    /// Its comment.
    pub comment: String,
}

impl Rule {
    /// A rule, from its comment's parts.
    pub fn new(owner: &str, subnet: IpNet, from: bool) -> Self {
        let comment = format!("{owner} open_forward {} {subnet}", if from { "from" } else { "to" });
        Self { subnet, from, comment }
    }

    /// Reads the comment of a rule of ours; `None` for what is not one.
    pub fn read(owner: &str, comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix(owner)?.strip_prefix(" open_forward ")?;
        let (direction, subnet) = rest.split_once(' ')?;
        let rule = Self::new(owner, subnet.parse().ok()?, direction == "from");
        (rule.comment == comment).then_some(rule)
    }
}

impl Rule {
    /// iptables' option for the address that it looks at.
    pub fn option(&self) -> &'static str {
        if self.from { "-s" } else { "-d" }
    }

    /// nft's words for what it looks at and does.
    pub fn words(&self) -> String {
        let ip = if matches!(self.subnet, IpNet::V4(_)) { "ip" } else { "ip6" };
        format!("{ip} {} {} accept", if self.from { "saddr" } else { "daddr" }, self.subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back_and_that_of_another_daemon_is_not_ours() {
        let rule = Rule::new("gorae-1", "10.64.0.0/20".parse().expect("net"), false);
        assert_eq!(Rule::read("gorae-1", &rule.comment), Some(rule.clone()));
        for other in ["gorae-12 open_forward to 10.64.0.0/20", "gorae-1 open_forward by 10.64.0.0/20", "gorae-1"] {
            assert_eq!(Rule::read("gorae-1", other), None, "{other}");
        }
    }
}
