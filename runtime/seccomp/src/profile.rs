// SPDX-License-Identifier: Apache-2.0
//! The meaning of a profile, independent of its notation: ordered rules by syscall name, and a default action.
//!
//! ```text
//! rule order          a rule without conditions decides alone, wherever it is (the first one of several); otherwise
//!                     the first rule whose conditions all hold; otherwise the default action
//! newest              a number above every syscall in the profile returns ENOSYS, unless the default action lets it
//!                     through: the author could not know it, and libraries fall back on ENOSYS, not on EPERM
//! foreign numbers     an ABI that is not among `arches` is killed (x32: ENOSYS, as on kernels built without it)
//! ```

use super::arch::Arch;

/// What the kernel does with a call. Source: seccomp(2), `SECCOMP_RET_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    KillProcess,
    KillThread,
    Trap,
    Errno(u16),
    Trace(u16),
    Log,
    Allow,
}

impl Action {
    pub(super) const ENOSYS: Self = Self::Errno(libc::ENOSYS as u16);
    pub(super) const EPERM: Self = Self::Errno(libc::EPERM as u16);

    /// The filter's return value.
    pub(super) fn value(self) -> u32 {
        match self {
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::Errno(errno) => libc::SECCOMP_RET_ERRNO | u32::from(errno),
            Self::Trace(data) => libc::SECCOMP_RET_TRACE | u32::from(data),
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Allow => libc::SECCOMP_RET_ALLOW,
        }
    }

    /// Whether the call proceeds (a tracer is expected to let unknown calls proceed).
    pub(super) fn lets_through(self) -> bool {
        matches!(self, Self::Allow | Self::Log | Self::Trace(_))
    }
}

/// A test of one 64-bit argument. Each of the eight operators of the OCI form is one of these, or its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Test {
    /// `arg & mask == value`; never true when `value` has a bit outside `mask`.
    Masked { mask: u64, value: u64 },
    /// `arg >= value`, unsigned.
    AtLeast(u64),
}

/// One condition of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    /// 0..=5.
    pub(super) arg: u8,
    pub(super) test: Test,
    /// If false, the condition holds when the test does not.
    pub(super) expect: bool,
}

impl Condition {
    /// Compares only the low 32 bits. This is right for arguments that the kernel takes as `int`, because a 64-bit
    /// caller may put anything in the high half.
    pub(super) const fn low_word(arg: u8, mask: u32, value: u32, expect: bool) -> Self {
        Self { arg, test: Test::Masked { mask: mask as u64, value: value as u64 }, expect }
    }
}

/// Some syscalls, an action, and the conditions that must all hold for it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) names: Vec<String>,
    pub(super) action: Action,
    pub(super) conditions: Vec<Condition>,
}

/// A whole profile for one container: conditions on capabilities, kernel and architecture are resolved.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) default: Action,
    /// The native architecture first, then the others that the machine also runs.
    pub(super) arches: Vec<Arch>,
    pub(super) rules: Vec<Rule>,
    /// Names whose rules do not apply to this container, but which the author knew.
    pub(super) also_known: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub(super) flags: u32,
}

impl Profile {
    /// The highest number of an architecture among the profile's syscalls; `None` when it names none, or lets other
    /// calls through anyway.
    pub(super) fn newest(&self, arch: Arch) -> Option<u32> {
        if self.default.lets_through() {
            return None;
        }
        let ruled = self.rules.iter().flat_map(|rule| &rule.names);
        ruled.chain(&self.also_known).filter_map(|name| arch.common_number(name)).max()
    }
}
