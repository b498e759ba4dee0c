// SPDX-License-Identifier: Apache-2.0
//! Which devices a container may open or make: OCI rules as a BPF program on its cgroup.
//!
//! Each kind of access (read, write, mknod) to a device is decided by the last rule that covers it; what no rule
//! covers is refused. A request for several is allowed when each of them is. An empty list is no policy at all.
//!
//! ```text
//! access = request's access           for each rule, last first:
//!   device is not the rule's        -> next rule
//!   rule allows                     -> access &= !rule's;  nothing left -> allow
//!   rule denies, access & rule's    -> deny
//! end -> deny
//! ```
//!
//! Where there is no cgroup2 mount the v1 devices controller gets the same rules, in order.

use crate::cgroup::{Cgroup, Dir};
use crate::failure::{self, Kind, Result};
use crate::sys::{attach_device_program, load_device_program};
use crate::wire::DeviceRule;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bounds the program (and the time that a start can spend on it).
const MAX_RULES: usize = 512;
/// `BPF_DEVCG_ACC_*`.
const ACCESS: [(char, u32); 3] = [('m', 1), ('r', 2), ('w', 4)];
const ALL_ACCESS: u32 = 7;

/// A checked [`DeviceRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `BPF_DEVCG_DEV_*`; `None` for both.
    kind: Option<u32>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

/// Puts the rules in force on the cgroup, before any process is in it.
///
/// - Shapes: `loaded` is the program of these very rules from an earlier container: to load it is what a policy costs,
///   and one program may be attached to any number of cgroups. Returned is a program that was loaded here.
/// - Errors: `InvalidArgument` for a rule that is none; else what bpf(2) or the v1 files answered.
pub fn apply(cgroup: &Cgroup, rules: &[DeviceRule], loaded: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    if rules.is_empty() {
        return Ok(None);
    }
    match cgroup.unified() {
        Some(dir) => attach(dir, rules, loaded),
        None => match cgroup.controller("devices") {
            Some(dir) => check(rules)?.iter().try_for_each(|rule| write_v1(dir, rule)).map(|()| None),
            None => Err(failure::refused(Kind::Unimplemented, "set device policy", "cgroup", "no devices controller")),
        },
    }
}

fn attach(cgroup: BorrowedFd<'_>, rules: &[DeviceRule], loaded: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    let fail = |error| failure::kernel("set device policy", "of the cgroup", error);
    if let Some(program) = loaded {
        return attach_device_program(cgroup, program.as_fd()).map(|()| None).map_err(fail);
    }
    let program = load_device_program(&compile(&check(rules)?)).map_err(fail)?;
    attach_device_program(cgroup, program.as_fd()).map_err(fail)?;
    Ok(Some(program))
}

fn check(rules: &[DeviceRule]) -> Result<Vec<Rule>> {
    let refuse = |object: &str, why: &str| failure::refused(Kind::InvalidArgument, "check device rule", object, why);
    if rules.len() > MAX_RULES {
        return Err(refuse(&format!("{} rules", rules.len()), "too many"));
    }
    let number = |number: i64| match u32::try_from(number) {
        Ok(number) => Ok(Some(number)),
        Err(_) if number == -1 => Ok(None),
        Err(_) => Err(refuse(&number.to_string(), "not a device number")),
    };
    let kind = |kind: &str| match kind {
        "a" => Ok(None),
        "b" => Ok(Some(1)),
        "c" => Ok(Some(2)),
        other => Err(refuse(other, "not a kind of device")),
    };
    let access = |text: &str| {
        text.chars().try_fold(0, |bits, letter| match ACCESS.iter().find(|(known, _)| *known == letter) {
            Some((_, bit)) => Ok(bits | bit),
            None => Err(refuse(text, "not a kind of access")),
        })
    };
    let one = |rule: &DeviceRule| {
        Ok(Rule {
            allow: rule.allow,
            kind: kind(&rule.kind)?,
            major: number(rule.major)?,
            minor: number(rule.minor)?,
            access: access(&rule.access)?,
        })
    };
    rules.iter().map(one).collect()
}

/// One rule into the v1 files, where a later rule overrides an earlier one just the same.
fn write_v1(dir: &Dir, rule: &Rule) -> Result<()> {
    let any = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let access: String = ACCESS.iter().filter(|(_, bit)| rule.access & bit != 0).map(|(letter, _)| letter).collect();
    let file = if rule.allow { "devices.allow" } else { "devices.deny" };
    let everything = rule.kind.is_none() && rule.major.is_none() && rule.minor.is_none() && rule.access == ALL_ACCESS;
    let kinds: &[&str] = match rule.kind {
        // To the v1 files "a" means everything whatever follows it.
        None if everything => &["a"],
        None => &["b", "c"],
        Some(1) => &["b"],
        Some(_) => &["c"],
    };
    for kind in kinds {
        let line = format!("{kind} {}:{} {access}", any(rule.major), any(rule.minor));
        dir.write(file, &line)
            .map_err(|error| failure::kernel("set device policy", format!("{} = {line}", dir.show(file)), error))?;
    }
    Ok(())
}

/// What the program's registers hold.
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
mod code {
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

fn end(allow: bool) -> [u64; 2] {
    [instruction(code::SET, register::RESULT, 0, 0, allow.into()), instruction(code::EXIT, 0, 0, 0, 0)]
}

/// The program for `struct bpf_cgroup_dev_ctx { access_type, major, minor }`, whose first word holds the access in
/// its upper and the kind in its lower half.
fn compile(rules: &[Rule]) -> Vec<u64> {
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
        let conditions: Vec<(u8, u32)> =
            [(register::KIND, rule.kind), (register::MAJOR, rule.major), (register::MINOR, rule.minor)]
                .into_iter()
                .filter_map(|(register, wanted)| wanted.map(|wanted| (register, wanted)))
                .collect();
        if conditions.is_empty() && rule.access == ALL_ACCESS {
            // Decides everything that is left; the kernel refuses instructions that nothing reaches.
            program.extend(end(rule.allow));
            return program;
        }
        let verdict = verdict(rule);
        for (done, (register, wanted)) in conditions.iter().enumerate() {
            let skip = (conditions.len() - done - 1 + verdict.len()) as i16;
            program.push(instruction(code::JUMP_IF_NOT_EQUAL, *register, 0, skip, *wanted));
        }
        program.extend(verdict);
    }
    program.extend(end(false));
    program
}

/// What a rule does to an access to its device: decide, or fall through to the next rule.
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
    steps.extend(end(rule.allow));
    steps
}

#[cfg(test)]
mod tests;
