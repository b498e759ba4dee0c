// SPDX-License-Identifier: Apache-2.0
//! The first process of a container: its program, its user and its privileges.

use gorae_seccomp::Filter;
pub use gorae_seccomp::capabilities::Sets as Capabilities;
use std::sync::Arc;

/// The first process.
#[derive(Debug, Clone)]
pub struct Process<'a> {
    /// The program and its arguments; at least one, none with a NUL.
    pub args: &'a [String],
    /// `NAME=VALUE`; values are bytes without a NUL. The shim adds HOME when it starts the process.
    pub env: &'a [Vec<u8>],
    /// The working directory, absolute; it is made in the root if it is missing.
    pub cwd: &'a str,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Its user and groups.
    pub user: User<'a>,
    /// Its capabilities; those that the node itself does not hold are left out when it is started.
    pub capabilities: Capabilities,
    /// Whether it can never gain privileges by executing a program.
    pub no_new_privs: bool,
    /// The system calls that it may make; `None`: all.
    pub seccomp: Option<Seccomp>,
    /// The loaded AppArmor profile that it changes to; `None`: unchanged.
    pub apparmor: Option<String>,
    /// The SELinux label that it changes to; `None`: unchanged.
    pub selinux: Option<String>,
    /// How likely it is to be killed when memory runs out; `None`: as its parent.
    pub oom_score_adj: Option<OomScoreAdj>,
    /// Its resource limits.
    pub rlimits: Vec<Rlimit>,
}

/// The requested user and groups of a process. The shim looks up names in the root's user database, never the node's.
#[derive(Debug, Clone)]
pub struct User<'a> {
    /// The user.
    pub user: Named<'a>,
    /// The group; `None`: the user's own in the root's database, or 0.
    pub group: Option<Named<'a>>,
    /// Supplementary groups of the request.
    pub supplementary: Vec<u32>,
    /// Which other groups it is in.
    pub groups: Groups,
}

/// A user or a group, as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// By number; never `u32::MAX`.
    Id(u32),
    /// By name.
    Name(&'a str),
}

impl<'a> Named<'a> {
    /// Parses a text: an id in digits, or a name.
    pub fn parse(text: &'a str) -> Self {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|&id| digits && id != u32::MAX);
        id.map_or(Self::Name(text), Self::Id)
    }

    /// The id, if it is one.
    pub fn id(self) -> Option<u32> {
        match self {
            Self::Id(id) => Some(id),
            Self::Name(_) => None,
        }
    }
}

/// The supplementary groups that a process has besides those of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Those of the user in the root's database.
    Merge,
    /// None.
    Strict,
}

/// The actual ids of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, the group id among them.
    pub gids: &'a [u32],
}

/// A system call filter and its source.
#[derive(Debug, Clone)]
pub struct Seccomp {
    /// Compiled for the capabilities of the process.
    pub filter: Arc<Filter>,
    /// The profile.
    pub profile: SeccompProfile,
}

/// The source of a filter.
#[derive(Debug, Clone)]
pub enum SeccompProfile {
    /// The default profile of the seccomp crate.
    BuiltIn,
    /// The JSON of a file, which is known to compile.
    Text(Vec<u8>),
}

/// A value of `oom_score_adj`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomScoreAdj(i32);

impl OomScoreAdj {
    /// Checks a value; `None` outside of -1000 to 1000, which the kernel refuses.
    pub fn new(value: i64) -> Option<Self> {
        i32::try_from(value).ok().filter(|value| (-1000..=1000).contains(value)).map(Self)
    }

    /// The value.
    pub fn value(self) -> i32 {
        self.0
    }
}

/// A resource limit, see getrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// The limited resource.
    pub resource: RlimitResource,
    /// The limit in force; `u64::MAX` is the kernel's value for no limit.
    pub soft: u64,
    /// The value up to which the process may raise it.
    pub hard: u64,
}

/// The resource of an [`Rlimit`].
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
