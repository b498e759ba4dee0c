// SPDX-License-Identifier: Apache-2.0
//! The decision graph between a profile and its program. Its nodes test the accumulator, and no node exists twice.
//!
//! A node is built after the nodes it leads to, so a node's index is above those of its targets: the graph has no
//! cycles, and [`super::program`] can lay it out back to front in one pass. Equal nodes are the same node. This lets
//! all architectures share the argument checks of `clone` or `personality`.

use super::error::{Error, LONGEST};
use super::profile::{Action, Condition, Test};
use std::collections::HashMap;

/// Offsets in `struct seccomp_data`.
pub(super) const NR: u32 = 0;
pub(super) const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Index of a node.
pub(super) type Id = usize;

/// A comparison of the accumulator with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Compare {
    Equal,
    AtLeast,
    Above,
    /// Any bit in common.
    AnyOf,
}

/// One step of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// Ends with this return value.
    Return(u32),
    /// Loads the word at an offset of seccomp_data, then goes on.
    Load(u32, Id),
    /// Masks the accumulator, then goes on.
    And(u32, Id),
    /// Compares the accumulator, then goes one of two ways.
    Branch { compare: Compare, with: u32, yes: Id, no: Id },
}

/// Where a test leads.
#[derive(Debug, Clone, Copy)]
struct Ways {
    yes: Id,
    no: Id,
}

/// The nodes, each stored once.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    index: HashMap<Node, Id>,
    too_long: bool,
}

impl Graph {
    fn node(&mut self, node: Node) -> Id {
        if let Some(id) = self.index.get(&node) {
            return *id;
        }
        if self.nodes.len() >= 2 * LONGEST {
            // Some of these may be unreachable, so the limit is twice the program's; from here on the graph is not
            // valid, and `check` fails.
            self.too_long = true;
            return 0;
        }
        self.nodes.push(node);
        self.index.insert(node, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Fails if nodes were refused because there were too many.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.too_long { Err(Error::TooLong) } else { Ok(()) }
    }

    pub(super) fn action(&mut self, action: Action) -> Id {
        self.node(Node::Return(action.value()))
    }

    /// Loads a word for `then`. If `then` returns or does its own load, nothing tests this word, and no load is added.
    pub(super) fn load(&mut self, offset: u32, then: Id) -> Id {
        if matches!(self.nodes[then], Node::Return(_) | Node::Load(..)) {
            return then;
        }
        self.node(Node::Load(offset, then))
    }

    pub(super) fn branch(&mut self, compare: Compare, with: u32, yes: Id, no: Id) -> Id {
        if yes == no {
            return yes;
        }
        self.node(Node::Branch { compare, with, yes, no })
    }

    /// Tests one argument. `holds` and `fails` return or do their own loads, and so does the result.
    pub(super) fn condition(&mut self, condition: Condition, holds: Id, fails: Id) -> Id {
        let ways = if condition.expect { Ways { yes: holds, no: fails } } else { Ways { yes: fails, no: holds } };
        let (low, high) = words_of(condition.arg);
        match condition.test {
            Test::Masked { mask, value } if value & !mask != 0 => ways.no,
            Test::Masked { mask, value } => {
                let both = self.masked_word(low, mask as u32, value as u32, ways);
                self.masked_word(high, (mask >> 32) as u32, (value >> 32) as u32, Ways { yes: both, ..ways })
            }
            Test::AtLeast(value) => {
                let tie = self.at_least_word(low, value as u32, ways);
                self.high_word(high, (value >> 32) as u32, tie, ways)
            }
        }
    }

    fn masked_word(&mut self, offset: u32, mask: u32, value: u32, Ways { yes, no }: Ways) -> Id {
        let test = match (mask, value) {
            (0, _) => return yes,
            (u32::MAX, _) => self.branch(Compare::Equal, value, yes, no),
            (_, 0) => self.branch(Compare::AnyOf, mask, no, yes),
            _ if yes == no => yes,
            _ => {
                let equal = self.branch(Compare::Equal, value, yes, no);
                self.node(Node::And(mask, equal))
            }
        };
        self.load(offset, test)
    }

    fn at_least_word(&mut self, offset: u32, value: u32, Ways { yes, no }: Ways) -> Id {
        if value == 0 {
            return yes;
        }
        let test = self.branch(Compare::AtLeast, value, yes, no);
        self.load(offset, test)
    }

    /// Compares the high word of an argument: above leads to `yes`, equal to `tie`, below to `no`.
    fn high_word(&mut self, offset: u32, value: u32, tie: Id, Ways { yes, no }: Ways) -> Id {
        let below_or_same = if value == 0 { tie } else { self.branch(Compare::Equal, value, tie, no) };
        let test = match value {
            0 => self.branch(Compare::Equal, 0, tie, yes),
            u32::MAX => below_or_same,
            _ => self.branch(Compare::Above, value, yes, below_or_same),
        };
        self.load(offset, test)
    }
}

/// Offsets of the low and high half of an argument.
fn words_of(arg: u8) -> (u32, u32) {
    let start = ARGS + 8 * u32::from(arg);
    if cfg!(target_endian = "little") { (start, start + 4) } else { (start + 4, start) }
}
