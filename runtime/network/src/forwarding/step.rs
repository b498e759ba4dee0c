// SPDX-License-Identifier: Apache-2.0
//! A rule of a firewall: what it asks of a packet, and what that means for the packets from pods or to them.

use ipnet::IpNet;

/// How the names of the host ends of pods' interfaces begin.
const HOST_ENDS: &str = "gp";

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// All that it asks.
    pub tests: Vec<Test>,
    /// What it does then.
    pub act: Act,
}

impl Step {
    /// Whether no packet gets past it.
    pub fn refuses_all(&self) -> bool {
        self.tests.is_empty() && self.act == Act::Refuse
    }
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It accepts.
    Accept,
    /// It drops or rejects.
    Refuse,
    /// It ends its chain.
    Return,
    /// It goes through another chain.
    Jump(String),
    /// It goes on in another chain.
    Goto(String),
    /// Something that decides nothing.
    Nothing,
}

/// One thing that a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Whether it asks for the contrary.
    pub not: bool,
    /// What it looks at.
    pub of: Subject,
}

/// What a rule looks at, and the values that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The address that the packet is from.
    Source(Vec<IpNet>),
    /// The address that it goes to.
    Destination(Vec<IpNet>),
    /// The interface that it came in by; `*` at the end stands for any rest.
    In(Vec<String>),
    /// The interface that it leaves by.
    Out(Vec<String>),
    /// The packet belongs to a connection that is there.
    Established,
    /// Anything else.
    Other,
}

/// Which of the packets from a subnet of pods, or to it, a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// All of them.
    pub whole: bool,
    /// It names pods.
    named: bool,
    /// Only those from or to a part of the pods, or between pods.
    narrow: bool,
    /// Only those of connections that are there.
    answers: bool,
}

/// How the values of a test and the pods relate.
enum Relation {
    Covers,
    Touches,
    Apart,
}

impl Reach {
    /// Which packets pass all the tests; `None` for no packet of these pods.
    pub fn of<'a>(tests: impl Iterator<Item = &'a Test>, subnet: &IpNet, from: bool) -> Option<Self> {
        let mut reach = Self { whole: true, named: false, narrow: false, answers: false };
        for test in tests {
            let (near, relation) = match &test.of {
                Subject::Source(nets) => (from, of_nets(nets, subnet)),
                Subject::Destination(nets) => (!from, of_nets(nets, subnet)),
                Subject::In(names) => (from, of_names(names)),
                Subject::Out(names) => (!from, of_names(names)),
                Subject::Established | Subject::Other => {
                    reach.whole = false;
                    reach.answers |= test.of == Subject::Established && !test.not;
                    continue;
                }
            };
            if near {
                reach.near(&relation, test.not)?;
            } else {
                reach.far(&test.of, &relation, test.not);
            }
        }
        Some(reach)
    }

    /// The pods' side of the packet.
    fn near(&mut self, relation: &Relation, not: bool) -> Option<()> {
        match (relation, not) {
            (Relation::Covers, false) => self.named = true,
            (Relation::Apart, true) => {}
            (Relation::Touches, _) => (self.whole, self.narrow) = (false, true),
            (Relation::Covers, true) | (Relation::Apart, false) => return None,
        }
        Some(())
    }

    /// The other side. By an interface that is no pod's, a rule is about the world; by an address, about a part of it.
    fn far(&mut self, of: &Subject, relation: &Relation, not: bool) {
        let nets = match of {
            Subject::Source(nets) | Subject::Destination(nets) => Some(nets),
            _ => None,
        };
        if !not && nets.is_some_and(|nets| nets.iter().any(|net| net.prefix_len() == 0)) {
            return;
        }
        self.whole = false;
        self.narrow |= !not && (nets.is_some() || !matches!(relation, Relation::Apart));
    }

    /// Whether a rule that accepts these lets pods work. What names pods counts whatever else it asks: who wrote it decides
    /// how much they may.
    pub fn suffices(&self, from: bool) -> bool {
        !self.narrow
            && if from { !self.answers && (self.whole || self.named) } else { self.whole || self.named || self.answers }
    }
}

fn of_nets(nets: &[IpNet], subnet: &IpNet) -> Relation {
    if nets.iter().any(|net| net.contains(subnet)) {
        Relation::Covers
    } else if nets.iter().any(|net| subnet.contains(net)) {
        Relation::Touches
    } else {
        Relation::Apart
    }
}

fn of_names(names: &[String]) -> Relation {
    if names.iter().any(|name| name.strip_suffix('*').is_some_and(|start| HOST_ENDS.starts_with(start))) {
        Relation::Covers
    } else if names.iter().any(|name| name.starts_with(HOST_ENDS)) {
        Relation::Touches
    } else {
        Relation::Apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn the_host_ends_are_named_so() {
        assert!(names::host_interface("a").starts_with(HOST_ENDS));
    }
}
