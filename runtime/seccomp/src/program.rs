// SPDX-License-Identifier: Apache-2.0
//! Assembles the decision graph into classic BPF.
//!
//! The program is written back to front: all jumps in BPF go forward, so a node's targets must exist when the node is
//! written. A conditional jump reaches 255 instructions; a more distant target gets a copy (a return) or a long jump
//! next to the branch.

use super::error::{Error, LONGEST};
use super::graph::{Compare, Graph, Id, Node};

/// One `struct sock_filter`. Source: linux/filter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) yes: u8,
    pub(super) no: u8,
    pub(super) with: u32,
}

impl Instruction {
    /// Its 8 bytes in the machine's order.
    fn bytes(self) -> [u8; 8] {
        let ([a, b], [c, d, e, f]) = (self.code.to_ne_bytes(), self.with.to_ne_bytes());
        [a, b, self.yes, self.no, c, d, e, f]
    }

    fn plain(code: u32, with: u32) -> Self {
        Self { code: code as u16, yes: 0, no: 0, with }
    }
}

pub(super) const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
pub(super) const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
pub(super) const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
pub(super) const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;

/// The opcode of a comparison with a constant.
pub(super) fn opcode(compare: Compare) -> u32 {
    let test = match compare {
        Compare::Equal => libc::BPF_JEQ,
        Compare::AtLeast => libc::BPF_JGE,
        Compare::Above => libc::BPF_JGT,
        Compare::AnyOf => libc::BPF_JSET,
    };
    libc::BPF_JMP | test | libc::BPF_K
}

/// Lays the graph out from `root`.
///
/// # Errors
/// `TooLong` above 4096 instructions.
pub(super) fn assemble(graph: &Graph, root: Id) -> Result<Vec<u8>, Error> {
    graph.check()?;
    let mut program = Backwards { code: Vec::new(), at: vec![None; graph.nodes.len()] };
    let needed = reachable(graph, root);
    for id in (0..=root).filter(|id| needed[*id]) {
        // Returns are written at the first jump to them.
        if !matches!(graph.nodes[id], Node::Return(_)) || id == root {
            program.write(graph, id);
        }
        if program.code.len() > LONGEST {
            return Err(Error::TooLong);
        }
    }
    Ok(program.code.iter().rev().flat_map(|instruction| instruction.bytes()).collect())
}

/// Targets have lower indices than the nodes that lead to them, so one pass from the top finds them all.
fn reachable(graph: &Graph, root: Id) -> Vec<bool> {
    let mut reached = vec![false; graph.nodes.len()];
    reached[root] = true;
    for id in (0..=root).rev() {
        if !reached[id] {
            continue;
        }
        match graph.nodes[id] {
            Node::Return(_) => {}
            Node::Load(_, then) | Node::And(_, then) => reached[then] = true,
            Node::Branch { yes, no, .. } => (reached[yes], reached[no]) = (true, true),
        }
    }
    reached
}

/// A program with its last instruction first. Positions count from the program's end.
#[derive(Debug)]
struct Backwards {
    code: Vec<Instruction>,
    /// The latest (nearest) position of each node.
    at: Vec<Option<usize>>,
}

impl Backwards {
    fn write(&mut self, graph: &Graph, id: Id) {
        let instruction = match graph.nodes[id] {
            Node::Return(value) => Instruction::plain(RETURN, value),
            Node::Load(offset, then) => {
                self.follow(graph, then);
                Instruction::plain(LOAD, offset)
            }
            Node::And(mask, then) => {
                self.follow(graph, then);
                Instruction::plain(AND, mask)
            }
            Node::Branch { compare, with, yes, no } => {
                let (yes, no) = self.reach_both(graph, yes, no);
                Instruction { code: opcode(compare) as u16, yes, no, with }
            }
        };
        self.push(id, instruction);
    }

    fn push(&mut self, id: Id, instruction: Instruction) {
        self.at[id] = Some(self.code.len());
        self.code.push(instruction);
    }

    /// The distance from an instruction that would be written now to a node.
    fn distance(&self, id: Id) -> Option<usize> {
        self.at[id].map(|at| self.code.len() - 1 - at)
    }

    /// Makes `id` the next instruction.
    fn follow(&mut self, graph: &Graph, id: Id) {
        match self.distance(id) {
            Some(0) => {}
            _ => self.stand_in(graph, id),
        }
    }

    /// Writes something here that leads to `id`: a copy of its return, or a long jump.
    fn stand_in(&mut self, graph: &Graph, id: Id) {
        match (graph.nodes[id], self.distance(id)) {
            (Node::Return(_), _) => self.write(graph, id),
            (_, Some(distance)) => self.push(id, Instruction::plain(JUMP, distance as u32)),
            (_, None) => unreachable!("targets have lower indices and are written first"),
        }
    }

    /// Makes both targets reachable for a branch that is written next, and returns the two offsets.
    fn reach_both(&mut self, graph: &Graph, yes: Id, no: Id) -> (u8, u8) {
        loop {
            let offset = |program: &Self, id| program.distance(id).and_then(|distance| u8::try_from(distance).ok());
            match (offset(self, yes), offset(self, no)) {
                (Some(yes), Some(no)) => return (yes, no),
                (None, _) => self.stand_in(graph, yes),
                (_, None) => self.stand_in(graph, no),
            }
        }
    }
}
