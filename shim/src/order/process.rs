// SPDX-License-Identifier: Apache-2.0
//! A container's first process, checked.

use crate::label::Label;
use crate::malformed::{Malformed, Result, absolute, arguments, c_string, each, required};
use crate::user::Account;
use crate::wire::{self, Capabilities};
use std::ffi::CString;

/// Most instructions that the kernel accepts. Source: `BPF_MAXINSNS`.
const MOST_INSTRUCTIONS: usize = 4096;
/// The size of `struct sock_filter`, in bytes.
const INSTRUCTION: usize = 8;
/// The number of resources that have a limit. Source: `RLIM_NLIMITS`.
const RLIMITS: u32 = 16;
/// The scores that the kernel accepts.
const SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// A process to be started.
#[derive(Debug)]
pub struct Process {
    /// argv, with at least one element.
    pub args: Vec<CString>,
    /// The environment.
    pub env: Vec<CString>,
    /// The working directory: an absolute path in the container, created if it is missing.
    pub cwd: CString,
    /// Whether its streams are a terminal.
    pub terminal: bool,
    /// Its user and groups, by number or name.
    pub account: Account,
    /// Its capabilities; those that the shim lacks are left out.
    pub capabilities: Capabilities,
    /// Whether set-user-id programs have no effect.
    pub no_new_privs: bool,
    /// The filter of its system calls; `None`: all are allowed.
    pub seccomp: Option<Seccomp>,
    /// How early the OOM killer picks it; `None`: like the shim.
    pub oom_score_adj: Option<i32>,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// Its label for the security modules.
    pub label: Label,
}

/// A seccomp filter.
#[derive(Debug, Clone)]
pub struct Seccomp {
    /// One or more complete `struct sock_filter`, in native byte order.
    pub filter: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
}

impl Seccomp {
    /// Its length in instructions.
    pub fn instructions(&self) -> usize {
        self.filter.len() / INSTRUCTION
    }
}

/// A limit of one resource.
#[derive(Debug, Clone, Copy)]
pub struct Rlimit {
    /// The resource, by its `RLIMIT_*` number.
    pub resource: u32,
    /// The limit in force.
    pub soft: u64,
    /// The value that the soft limit can be raised to.
    pub hard: u64,
}

impl Process {
    /// Checks the message.
    ///
    /// # Errors
    /// For the first invalid field.
    pub fn checked(process: wire::Process) -> Result<Self> {
        let cwd = if process.cwd.is_empty() { "/".to_owned() } else { absolute("cwd", process.cwd)? };
        Ok(Self {
            args: arguments(process.args)?,
            env: each("env", process.env, |variable| c_string("", variable))?,
            cwd: c_string("cwd", cwd.into_bytes())?,
            terminal: process.tty,
            account: Account::checked(required("user", process.user)?).map_err(|wrong| wrong.within("user"))?,
            capabilities: required("capabilities", process.capabilities)?,
            no_new_privs: process.no_new_privs,
            seccomp: seccomp(process.seccomp_filter, process.seccomp_flags)?,
            oom_score_adj: process.oom_score_adj.map(score).transpose()?,
            rlimits: each("rlimits", process.rlimits, rlimit)?,
            label: Label::checked(process.apparmor_profile, process.selinux_label)?,
        })
    }
}

fn seccomp(filter: Vec<u8>, flags: u32) -> Result<Option<Seccomp>> {
    if filter.is_empty() {
        return if flags == 0 { Ok(None) } else { Err(Malformed::new("seccomp_flags", "is set without a filter")) };
    }
    if !filter.len().is_multiple_of(INSTRUCTION) || filter.len() / INSTRUCTION > MOST_INSTRUCTIONS {
        return Err(Malformed::new("seccomp_filter", format!("{} bytes is not a valid length", filter.len())));
    }
    Ok(Some(Seccomp { filter, flags }))
}

/// Checks a score.
///
/// # Errors
/// For one that the kernel does not accept.
pub fn score(adj: wire::OomScoreAdj) -> Result<i32> {
    if SCORES.contains(&adj.value) {
        return Ok(adj.value);
    }
    Err(Malformed::new("oom_score_adj", format!("{} is not between -1000 and 1000", adj.value)))
}

fn rlimit(limit: wire::Rlimit) -> Result<Rlimit> {
    let wire::Rlimit { resource, soft, hard } = limit;
    if resource >= RLIMITS {
        return Err(Malformed::new("resource", format!("{resource} is not a resource with a limit")));
    }
    if soft > hard {
        return Err(Malformed::new("soft", format!("{soft} is above the hard limit of {hard}")));
    }
    Ok(Rlimit { resource, soft, hard })
}
