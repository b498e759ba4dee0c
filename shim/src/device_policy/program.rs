// SPDX-License-Identifier: Apache-2.0
//! Compiles the rules to a BPF program.
//!
//! ```text
//! access = request's access           for each rule, last first:
//!   device is not the rule's        -> next rule
//!   rule allows                     -> access &= !rule's;  nothing left -> allow
//!   rule denies, access & rule's    -> deny
//! end -> deny
//! ```

use super::rule::{ALL_ACCESS, Rule};

/// The return value that refuses; 1 allows.
const DENY: u32 = 0;

/// The use of the program's registers.
mod register {
    pub const RESULT: u8 = 0;
    pub const CONTEXT: u8 = 1;
    pub const KIND: u8 = 2;
    pub const ACCESS: u8 = 3;
    pub const MAJOR: u8 = 4;
    pub const MINOR: u8 = 5;
    pub const SCRATCH: u8 = 6;
}

/// Operation codes, as the kernel's `bpf.h` composes them.
pub(super) mod code {
    pub const LOAD_WORD: u8 = 0x61;
    pub const COPY: u8 = 0xbf;
    pub const SET: u8 = 0xb7;
    pub const AND: u8 = 0x54;
    pub const SHIFT_RIGHT: u8 = 0x74;
    pub const JUMP_IF_NOT_EQUAL: u8 = 0x56;
    pub const JUMP_IF_EQUAL: u8 = 0x16;
    pub const EXIT: u8 = 0x95;
}

/// One `struct bpf_insn`.
fn instruction(code: u8, to: u8, from: u8, offset: i16, value: u32) -> u64 {
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    let ([o0, o1], [v0, v1, v2, v3]) = (offset.to_ne_bytes(), value.to_ne_bytes());
    u64::from_ne_bytes([code, registers, o0, o1, v0, v1, v2, v3])
}

/// Ends the program with a return value.
fn end(answer: u32) -> [u64; 2] {
    [instruction(code::SET, register::RESULT, 0, 0, answer), instruction(code::EXIT, 0, 0, 0, 0)]
}

/// Compiles the program for `struct bpf_cgroup_dev_ctx { access_type, major, minor }`, whose first word holds the
/// access in its upper half and the kind in its lower half.
pub fn compile(rules: &[Rule]) -> Vec<u64> {
    let load = |to, offset| instruction(code::LOAD_WORD, to, register::CONTEXT, offset, 0);
    let mut program = vec![
        load(register::KIND, 0),
        instruction(code::COPY, register::ACCESS, register::KIND, 0, 0),
        instruction(code::SHIFT_RIGHT, register::ACCESS, 0, 0, 16),
        instruction(code::AND, register::KIND, 0, 0, 0xffff),
        load(register::MAJOR, 4),
        load(register::MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        let conditions: Vec<(u8, u32)> = [
            (register::KIND, rule.kind.map(|kind| kind as u32)),
            (register::MAJOR, rule.major),
            (register::MINOR, rule.minor),
        ]
        .into_iter()
        .filter_map(|(register, wanted)| wanted.map(|wanted| (register, wanted)))
        .collect();
        if conditions.is_empty() && rule.access == ALL_ACCESS {
            // This rule decides everything that is left; the kernel rejects unreachable instructions.
            program.extend(end(rule.allow.into()));
            return program;
        }
        let verdict = verdict(rule);
        for (done, (register, wanted)) in conditions.iter().enumerate() {
            let skip = (conditions.len() - done - 1 + verdict.len()) as i16;
            program.push(instruction(code::JUMP_IF_NOT_EQUAL, *register, 0, skip, *wanted));
        }
        program.extend(verdict);
    }
    program.extend(end(DENY));
    program
}

/// The effect of a rule on an access to its device: decide, or fall through to the next rule.
fn verdict(rule: &Rule) -> Vec<u64> {
    let mut steps = if rule.allow {
        vec![
            instruction(code::AND, register::ACCESS, 0, 0, ALL_ACCESS & !rule.access),
            instruction(code::JUMP_IF_NOT_EQUAL, register::ACCESS, 0, 2, 0),
        ]
    } else {
        vec![
            instruction(code::COPY, register::SCRATCH, register::ACCESS, 0, 0),
            instruction(code::AND, register::SCRATCH, 0, 0, rule.access),
            instruction(code::JUMP_IF_EQUAL, register::SCRATCH, 0, 2, 0),
        ]
    };
    steps.extend(end(rule.allow.into()));
    steps
}
