// SPDX-License-Identifier: Apache-2.0
//! What a firewall does with the packets of pods: a walk through the chain that sees forwarded packets, and through those
//! that it leads to. An accepting rule elsewhere in the table does not count, nor one after a rule that refuses all.
//!
//! It knows addresses, interfaces and the state of a connection. Named sets, marks and everything else it cannot judge; a rule
//! that accepts by them alone does not count, so a firewall that does so is reported without need.

use super::step::{Act, Reach, Step, Test};
use ipnet::IpNet;
use std::collections::HashMap;

/// As many as the kernel allows.
const MAX_DEPTH: usize = 16;
/// How many rules are looked at; chains may lead to the same chains again and again.
const MAX_STEPS: usize = 100_000;

/// The rules of each chain of a table.
pub type Chains = HashMap<String, Vec<Step>>;

/// What becomes of the packets in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are accepted, or at least what a pod needs of them.
    Accepted,
    /// They are dropped or rejected.
    Refused,
    /// No rule decides about all of them.
    Undecided,
}

/// Walks from a chain with the packets from a subnet of pods, or to it. What is too deep or too much counts as refused.
pub fn walk(chains: &Chains, start: &str, subnet: &IpNet, from: bool) -> Fate {
    Walk { chains, subnet, from, left: MAX_STEPS }.through(start, &mut Vec::new())
}

struct Walk<'a> {
    chains: &'a Chains,
    subnet: &'a IpNet,
    from: bool,
    left: usize,
}

impl<'a> Walk<'a> {
    /// `way` holds the tests of the rules that lead here.
    fn through(&mut self, chain: &str, way: &mut Vec<&'a [Test]>) -> Fate {
        if way.len() > MAX_DEPTH {
            return Fate::Refused;
        }
        let chains = self.chains;
        for step in chains.get(chain).into_iter().flatten() {
            let Some(left) = self.left.checked_sub(1) else { return Fate::Refused };
            self.left = left;
            if let Some(fate) = self.take(step, way) {
                return fate;
            }
        }
        Fate::Undecided
    }

    /// One rule; `None` when the chain goes on.
    fn take(&mut self, step: &'a Step, way: &mut Vec<&'a [Test]>) -> Option<Fate> {
        let tests = way.iter().copied().flatten().chain(&step.tests);
        let reach = Reach::of(tests, self.subnet, self.from)?;
        match &step.act {
            Act::Accept => reach.suffices(self.from).then_some(Fate::Accepted),
            Act::Refuse => reach.whole.then_some(Fate::Refused),
            Act::Return => reach.whole.then_some(Fate::Undecided),
            Act::Nothing => None,
            Act::Jump(next) | Act::Goto(next) => {
                way.push(&step.tests);
                let fate = self.through(next, way);
                way.pop();
                let leaves = matches!(step.act, Act::Goto(_)) && reach.whole;
                (fate != Fate::Undecided || leaves).then_some(fate)
            }
        }
    }
}
