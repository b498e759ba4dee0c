// SPDX-License-Identifier: Apache-2.0
//! Which devices a container may open or create: OCI rules as a BPF program on its cgroup.
//!
//! Each kind of access (read, write, mknod) to a device is decided by the last rule that covers it; access that no rule
//! covers is refused. A request for several kinds is allowed when each of them is. An empty list means no policy at
//! all.
//!
//! Without a cgroup2 mount the v1 devices controller gets the same rules, in order.

mod program;
mod rule;

pub use rule::{ACCESS, ALL_ACCESS, DeviceKind, MOST, Rule, checked};

use crate::cgroup::{Cgroup, Dir};
use crate::failure::{self, Kind, Result};
use crate::sys::{attach_device_program, load_device_program};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Applies the rules to the cgroup, before any process is in it.
///
/// - Shapes: `loaded` is the program of exactly these rules from an earlier container. Loading is the expensive part,
///   and one program can be attached to any number of cgroups. Returns the program if it was loaded here.
///
/// # Errors
/// The kernel's error from bpf(2) or the v1 files; `Unimplemented` on a machine that has neither.
pub fn apply(cgroup: &Cgroup, rules: &[Rule], loaded: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    if rules.is_empty() {
        return Ok(None);
    }
    match cgroup.unified() {
        Some(dir) => attach(dir, rules, loaded),
        None => match cgroup.controller("devices") {
            Some(dir) => rules.iter().try_for_each(|rule| write_v1(dir, rule)).map(|()| None),
            None => Err(failure::refused(Kind::Unimplemented, "set device policy", "cgroup", "no devices controller")),
        },
    }
}

fn attach(cgroup: BorrowedFd<'_>, rules: &[Rule], loaded: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    let fail = |error| failure::kernel("set device policy", "of the cgroup", error);
    if let Some(program) = loaded {
        return attach_device_program(cgroup, program.as_fd()).map(|()| None).map_err(fail);
    }
    let program = load_device_program(&program::compile(rules)).map_err(fail)?;
    attach_device_program(cgroup, program.as_fd()).map_err(fail)?;
    Ok(Some(program))
}

/// Writes one rule to the v1 files, where a later rule overrides an earlier one as well.
fn write_v1(dir: &Dir, rule: &Rule) -> Result<()> {
    let any = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let access: String = ACCESS.iter().filter(|(_, bit)| rule.access & bit != 0).map(|(letter, _)| letter).collect();
    let file = if rule.allow { "devices.allow" } else { "devices.deny" };
    let everything = rule.kind.is_none() && rule.major.is_none() && rule.minor.is_none() && rule.access == ALL_ACCESS;
    let kinds: &[&str] = match rule.kind {
        // In the v1 files "a" means everything, whatever follows it.
        None if everything => &["a"],
        None => &["b", "c"],
        Some(DeviceKind::Block) => &["b"],
        Some(DeviceKind::Character) => &["c"],
    };
    for kind in kinds {
        let line = format!("{kind} {}:{} {access}", any(rule.major), any(rule.minor));
        dir.write(file, &line)
            .map_err(|error| failure::kernel("set device policy", format!("{} = {line}", dir.show(file)), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
