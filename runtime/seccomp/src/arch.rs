// SPDX-License-Identifier: Apache-2.0
//! The architectures that a filter can see on this machine, and their syscall numbers.
//!
//! x86_64 and its 32-bit programs are tested on a kernel. The filters for aarch64 and arm have not run on one: see
//! `docs/support.md`.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The x32 ABI adds this bit to a number. It shares x86_64's audit value.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// x32's own numbers, 512 and up in this order. The rest are x86_64's. Source: linux syscall_64.tbl, ABI "x32".
pub(super) const X32_NAMES: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];
/// First of [`X32_NAMES`].
pub(super) const X32_FIRST: u32 = 512;

/// i386 socket calls by their number in `socketcall`'s first argument, from 1. Source: linux/net.h.
const SOCKET_CALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
/// i386 System V calls by their number in the low half of `ipc`'s first argument. Source: linux/ipc.h.
const IPC_CALLS: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// ARM's private calls, far above the common range. Source: linux/arch/arm unistd.h.
const ARM_CALLS: [(&str, u32); 3] = [("breakpoint", 0xf0001), ("cacheflush", 0xf0002), ("set_tls", 0xf0005)];
/// Upper bound of the numbers that all architectures assign in common; those in use are well below it.
const COMMON_END: u32 = 0x1000;

/// A syscall ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Arch {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

/// A call that is also reached through another call, selected by that call's first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Multiplexed {
    /// "socketcall" or "ipc".
    pub(super) through: &'static str,
    /// The bits of the first argument that select the call.
    pub(super) mask: u32,
    /// Their value for this call.
    pub(super) call: u32,
}

impl Arch {
    /// The machine's native architecture.
    #[cfg(target_arch = "x86_64")]
    pub(super) const NATIVE: Self = Self::X86_64;
    /// The machine's native architecture.
    #[cfg(target_arch = "aarch64")]
    pub(super) const NATIVE: Self = Self::Aarch64;

    /// The architectures that a filter on this machine can see, the native one first.
    pub(super) fn here() -> &'static [Self] {
        match Self::NATIVE {
            Self::Aarch64 => &[Self::Aarch64, Self::Arm],
            _ => &[Self::X86_64, Self::X86, Self::X32],
        }
    }

    /// `seccomp_data.arch`. Source: linux/audit.h.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The name in profiles' `architectures` and `archMap`.
    pub(super) fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// The machine's name in `includes.arches` and `excludes.arches`.
    pub(super) fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// The number of a syscall; `None` when this ABI (as far as our table goes) does not have it.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        match self {
            Self::X32 => x32_number(name),
            Self::Arm => self.table().get(name).copied().or_else(|| arm_number(name)),
            _ => self.table().get(name).copied(),
        }
    }

    /// [`Arch::number`] without the calls that only one architecture has. Their numbers say nothing about age.
    pub(super) fn common_number(self, name: &str) -> Option<u32> {
        self.number(name).filter(|number| number & !X32_BIT < COMMON_END)
    }

    /// The other way to reach the call `name`, which an unconditional rule for it must cover.
    pub(super) fn multiplexed(self, name: &str) -> Option<Multiplexed> {
        if self != Self::X86 {
            return None;
        }
        let socket = SOCKET_CALLS.iter().position(|known| *known == name).map(|at| Multiplexed {
            through: "socketcall",
            mask: u32::MAX,
            call: at as u32 + 1,
        });
        let ipc = IPC_CALLS.iter().find(|(known, _)| *known == name);
        socket.or(ipc.map(|(_, call)| Multiplexed { through: "ipc", mask: 0xffff, call: *call }))
    }

    fn table(self) -> &'static HashMap<&'static str, u32> {
        static TABLES: [OnceLock<HashMap<&'static str, u32>>; 4] = [const { OnceLock::new() }; 4];
        let (slot, last) = match self {
            Self::X86_64 | Self::X32 => (0, syscalls::x86_64::Sysno::last().id()),
            Self::X86 => (1, syscalls::x86::Sysno::last().id()),
            Self::Aarch64 => (2, syscalls::aarch64::Sysno::last().id()),
            Self::Arm => (3, COMMON_END as i32),
        };
        TABLES[slot].get_or_init(|| {
            (0..=last as usize).filter_map(|number| Some((self.name(number)?, number as u32))).collect()
        })
    }

    /// The name of a number, in the ABI's own table (x86_64's for x32).
    pub(super) fn name(self, number: usize) -> Option<&'static str> {
        match self {
            Self::X86_64 | Self::X32 => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
            Self::X86 => syscalls::x86::Sysno::new(number).map(|call| call.name()),
            Self::Aarch64 => syscalls::aarch64::Sysno::new(number).map(|call| call.name()),
            Self::Arm => syscalls::arm::Sysno::new(number).map(|call| call.name()),
        }
    }
}

fn x32_number(name: &str) -> Option<u32> {
    let own = X32_NAMES.iter().position(|known| *known == name).map(|at| X32_FIRST + at as u32);
    own.or_else(|| Arch::X86_64.number(name)).map(|number| X32_BIT | number)
}

fn arm_number(name: &str) -> Option<u32> {
    ARM_CALLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (arch, name, number) in [
            (Arch::X86_64, "read", 0),
            (Arch::X86_64, "clone3", 435),
            (Arch::X86, "socketcall", 102),
            (Arch::X86, "clock_gettime64", 403),
            (Arch::X32, "read", X32_BIT),
            (Arch::X32, "ioctl", X32_BIT + 514),
            (Arch::X32, "pwritev2", X32_BIT + 547),
            (Arch::Aarch64, "openat", 56),
            (Arch::Arm, "read", 3),
        ] {
            assert_eq!(arch.number(name), Some(number), "{arch:?} {name}");
        }
        assert_eq!(Arch::Aarch64.number("open"), None);
        let last = syscalls::x86_64::Sysno::last();
        assert_eq!(Arch::X86_64.number(last.name()), Some(last.id() as u32), "the table reaches its end");
    }

    #[test]
    fn multiplexed_calls_know_their_way_around() {
        let socket = Arch::X86.multiplexed("socket").unwrap();
        assert_eq!((socket.through, socket.call), ("socketcall", 1));
        assert_eq!(Arch::X86.multiplexed("shmctl").unwrap().call, 24);
        assert_eq!(Arch::X86_64.multiplexed("socket"), None);
    }
}
