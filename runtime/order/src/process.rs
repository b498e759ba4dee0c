// SPDX-License-Identifier: Apache-2.0
//! The first process of a container: what runs, as whom, and with which rights.

use gorae_seccomp::Filter;
pub use gorae_seccomp::capabilities::Sets as Capabilities;
use std::sync::Arc;

/// The first process.
#[derive(Debug, Clone)]
pub struct Process<'a> {
    /// The program and its arguments; at least one, none with a NUL.
    pub args: &'a [String],
    /// `NAME=VALUE`; values are bytes without a NUL. HOME is added by who starts it.
    pub env: &'a [Vec<u8>],
    /// Absolute; made in the root where it is missing.
    pub cwd: &'a str,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Who it is.
    pub user: User<'a>,
    /// Its capabilities; those that the node does not hold itself are left out when it is started.
    pub capabilities: Capabilities,
    /// Whether no program can give it more rights.
    pub no_new_privs: bool,
    /// Which system calls it may make; `None`: all.
    pub seccomp: Option<Seccomp>,
    /// The AppArmor profile that it changes to, which is loaded; `None`: it stays as it is.
    pub apparmor: Option<String>,
    /// The SELinux label that it changes to; `None`: it stays as it is.
    pub selinux: Option<String>,
    /// How soon it ends when memory runs out; `None`: as its parent.
    pub oom_score_adj: Option<OomScoreAdj>,
    /// Limits of the kernel.
    pub rlimits: Vec<Rlimit>,
}

/// Who a process is, as asked. Names are looked up in the root's user database by who starts it, never in the node's.
#[derive(Debug, Clone)]
pub struct User<'a> {
    /// The user.
    pub user: Named<'a>,
    /// The group; `None`: the user's own in the root's database, or 0.
    pub group: Option<Named<'a>>,
    /// Supplementary groups of the request.
    pub supplementary: Vec<u32>,
    /// Which others it is in.
    pub groups: Groups,
}

/// A user or a group as it was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// By number; never `u32::MAX`.
    Id(u32),
    /// By name.
    Name(&'a str),
}

impl<'a> Named<'a> {
    /// What a text means: digits that are an id, or a name.
    pub fn parse(text: &'a str) -> Self {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|&id| digits && id != u32::MAX);
        id.map_or(Self::Name(text), Self::Id)
    }

    /// The id, when it is one.
    pub fn id(self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(id),
            Self::Name(_) => None,
        }
    }
}

/// Which supplementary groups a process has besides those of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Those that the root's database says of the user.
    Merge,
    /// None.
    Strict,
}

/// Who a process turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, the group id among them.
    pub gids: &'a [u32],
}

/// A filter of system calls, and what it was made from.
#[derive(Debug, Clone)]
pub struct Seccomp {
    /// Compiled for the capabilities of the process.
    pub filter: Arc<Filter>,
    /// The profile.
    pub profile: SeccompProfile,
}

/// What a filter was made from.
#[derive(Debug, Clone)]
pub enum SeccompProfile {
    /// The profile of the seccomp crate.
    BuiltIn,
    /// The JSON of a file; it compiles.
    Text(Vec<u8>),
}

/// A value of `oom_score_adj`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomScoreAdj(i32);

impl OomScoreAdj {
    /// `None` for a value that the kernel does not take, which are those outside of -1000 to 1000.
    pub fn new(value: i64) -> Option<Self> {
        i32::try_from(value).ok().filter(|value| (-1000..=1000).contains(value)).map(Self)
    }

    /// The value.
    pub fn value(self) -> i32 {
        self.0
    }
}

/// A limit of the kernel, see getrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: RlimitResource,
    /// What is enforced; `u64::MAX` is the kernel's word for no limit.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
}

/// What a [`Rlimit`] limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RlimitResource {
    /// Open files.
    OpenFiles,
}

impl RlimitResource {
    /// The kernel's number.
    pub fn number(self) -> u32 {
        match self {
            Self::OpenFiles => libc::RLIMIT_NOFILE,
        }
    }

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenFiles => "RLIMIT_NOFILE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_that_are_an_id_are_a_number() {
        for (text, id) in [("0", Some(0)), ("007", Some(7)), ("4294967294", Some(u32::MAX - 1))] {
            assert_eq!(Named::parse(text).id(), id, "{text}");
        }
        for text in ["", "+1", "-1", " 1", "4294967295", "4294967296", "bob", "0x0"] {
            assert_eq!(Named::parse(text), Named::Name(text));
        }
    }

    #[test]
    fn a_score_is_in_the_kernels_range() {
        assert_eq!(OomScoreAdj::new(-1000).map(OomScoreAdj::value), Some(-1000));
        assert_eq!([-1001, 1001, i64::MAX].map(OomScoreAdj::new), [None; 3]);
    }
}
