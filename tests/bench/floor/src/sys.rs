// SPDX-License-Identifier: Apache-2.0
//! The four system calls that no safe wrapper offers. This is the crate's only unsafe code.

use rustix::process::Pid;
use rustix::thread::UnshareFlags;
use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};

/// `CLONE_INTO_CGROUP` of linux/sched.h; libc's constant is too narrow.
const INTO_CGROUP: u64 = 1 << 33;

/// Clones a child into new pid and mount namespaces, and into a cgroup v2 directory when one is given.
/// `None` is the child.
pub fn clone(cgroup: Option<&OwnedFd>) -> Result<Option<Pid>> {
    // SAFETY: an all-zero clone_args is a valid one: no flags, no pointers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(directory) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = directory.as_raw_fd() as u64;
    }
    // SAFETY: `args` lives over the call and its size is given; without CLONE_VM the child has a copy of this memory,
    // and as this program has one thread only, every lock in that copy is free.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// Leaves namespaces for new ones. (rustix marks this unsafe for the sake of CLONE_FILES, which is refused here.)
pub fn unshare(flags: UnshareFlags) -> Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the descriptor table stays shared as it is, see the line above.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Loads a filter that allows everything after as many comparisons as a usual profile makes.
pub fn seccomp(comparisons: u32) -> Result<()> {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // struct seccomp_data begins with the number of the call.
    let mut filter = vec![instruction(load, 0, 0, 0)];
    for number in 0..comparisons {
        filter.push(instruction(equal, 0, 1, 600 + number));
        filter.push(instruction(give, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    }
    filter.push(instruction(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: `program` points at `filter`, which lives over the call; the kernel copies it.
    let loaded = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if loaded == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Runs a program without arguments and environment; comes back only with the reason why not.
pub fn execve(path: &CStr) -> Error {
    let (argv, environment) = ([path.as_ptr(), std::ptr::null()], [std::ptr::null()]);
    // SAFETY: both arrays end with a null pointer and all strings live over the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    Error::last_os_error()
}

/// Ends the child without running what the parent would run at its end.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes no memory and does not return.
    unsafe { libc::_exit(code) }
}
