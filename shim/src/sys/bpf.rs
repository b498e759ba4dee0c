// SPDX-License-Identifier: Apache-2.0
//! bpf(2), as far as a cgroup's device policy needs it.

use super::answer::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Keeps the programs of parent cgroups, and others on the same cgroup, in force.
const ALLOW_MULTI: u32 = 2;

/// The beginning of `union bpf_attr` for a load; the kernel reads the missing rest as zero.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
}

/// The beginning of `union bpf_attr` for an attach.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a device program.
///
/// - Shapes: `instructions` are `struct bpf_insn` in native order.
///
/// # Errors
/// `EINVAL` or `EACCES` from the kernel's verifier; `EPERM` without `CAP_BPF` and `CAP_NET_ADMIN`.
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    let attr = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        insns: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: `insns` points at `insn_cnt` 8-byte instructions and `license` at a NUL-terminated literal; both live
    // across the call and are only read. `attr` is passed with its own size.
    let fd = check(unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attr, size_of::<Load>()) })?;
    // SAFETY: a successful load returns a new descriptor that has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a device program to a cgroup2 directory. It stays until the cgroup is removed.
///
/// # Errors
/// The kernel's error.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attr = Attach {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
    };
    // SAFETY: both descriptors are borrowed for the call; `attr` is passed with its own size and only read.
    check(unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attr, size_of::<Attach>()) }).map(drop)
}
