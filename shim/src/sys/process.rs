// SPDX-License-Identifier: Apache-2.0
//! Processes: clone, exec, exit, signals, inherited descriptors, the heap.

use super::check;
use rustix::fs::{Mode, OFlags};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The libc crate's constant is cut to 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of [`clone3`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The caller: the child's pid in this pid namespace, and a descriptor that stays bound to that very process.
    Parent {
        /// The child's pid as this process sees it.
        pid: i32,
        /// Readable once the child has ended.
        pidfd: OwnedFd,
    },
    /// The new process: same memory image, same descriptors, one thread.
    Child,
}

/// Makes a child like fork does, in new namespaces and, when given, born in a cgroup v2 directory.
///
/// - Shapes: `flags` are `CLONE_NEW*`, `CLONE_PARENT`, or 0; never `CLONE_VM`. `CLONE_PIDFD` is added here. The
///   exit signal is SIGCHLD, except with `CLONE_PARENT`, where the kernel takes the caller's own.
/// - Invariant: the calling process has one thread. A second thread's locks (the allocator's) would stay locked for
///   ever in the child.
/// - Source: clone3(2).
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: an all-zero clone_args is a valid one: it asks for nothing.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    if flags & libc::CLONE_PARENT as u64 == 0 {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(dir) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = dir.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM and no stack: the child runs on its own copy of this stack. `args` and `pidfd` live across
    // the call. The process has one thread (the invariant above), so no lock is held by anyone else in the copy.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone3, &args as *const libc::clone_args, std::mem::size_of::<libc::clone_args>())
    })?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: the call succeeded with CLONE_PIDFD, so the kernel stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { pid: pid as i32, pidfd })
}

/// The system call of [`clone_sibling`], its number and arguments, for who wants to know whether a filter allows it.
pub const SIBLING: (libc::c_long, [u64; 6]) =
    (libc::SYS_clone, [libc::CLONE_PARENT as u64 | libc::SIGCHLD as u64, 0, 0, 0, 0, 0]);

/// Makes a process beside this one, like fork but a child of this one's parent: its pid here, `None` there.
///
/// By the old call: seccomp filters allow it where they forbid clone3, into whose arguments they cannot look.
///
/// - Invariant: that of [`clone3`].
/// - Source: clone(2).
pub fn clone_sibling() -> io::Result<Option<i32>> {
    let (number, [flags, ..]) = SIBLING;
    // SAFETY: no CLONE_VM and no stack: the child runs on its own copy of this stack. The order of the other arguments
    // differs between machines, but all of them are null, and no flag has them used. One thread: see `clone3`.
    let pid = check(unsafe { libc::syscall(number, flags, 0usize, 0usize, 0usize, 0usize) })?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Replaces this process by `path`; comes back only with the reason why not.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: `path` and every element are NUL-terminated and outlive the call; both arrays end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process at once: no destructor, no flush. For forked children only.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition; nothing of ours needs to run after it.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` up, or marks them close-on-exec when `on_exec_only`.
///
/// After closing, `OwnedFd`s of those numbers must not be used or dropped any more: only a child that is about to
/// exec or `exit_now` may close.
pub fn close_range(first: u32, on_exec_only: bool) -> io::Result<()> {
    let flags = if on_exec_only { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: plain integers; which descriptors may be closed is the caller's contract stated above.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// Opens what a handle (`O_PATH`) refers to, by no name that could have changed hands. Needs /proc.
pub fn reopen(handle: BorrowedFd<'_>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(format!("/proc/self/fd/{}", handle.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

/// Puts a copy of `fd` at `number`, open across exec.
pub fn keep_open(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    if fd.as_raw_fd() == number {
        // SAFETY: plain integers; clears close-on-exec of a descriptor that the caller holds.
        return check(libc::c_long::from(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })).map(drop);
    }
    // SAFETY: plain integers. Whatever was at `number` is replaced: callers use 0 to 2 in a child before exec, whose
    // owners live in the parent.
    check(libc::c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) })).map(drop)
}

/// Moves descriptors to `number` and the numbers after it (close-on-exec) and closes everything above them. For a
/// child on its way to exec, whose other `OwnedFd`s are never used or dropped again.
///
/// - Shapes: each of them is above the places that are to be filled.
pub fn place_and_close_rest(fds: Vec<OwnedFd>, number: i32) -> io::Result<Vec<OwnedFd>> {
    let mut placed = Vec::with_capacity(fds.len());
    for (fd, number) in fds.into_iter().zip(number..) {
        // SAFETY: plain integers; `fd` was given up. What was at `number` belongs to an owner that, by this function's
        // contract, is not used again.
        check(libc::c_long::from(unsafe { libc::dup3(fd.into_raw_fd(), number, libc::O_CLOEXEC) }))?;
        // SAFETY: `number` was opened by dup3 just now and has no other user.
        placed.push(unsafe { OwnedFd::from_raw_fd(number) });
    }
    close_range(number as u32 + placed.len() as u32, false)?;
    Ok(placed)
}

/// Sends a signal by number (real-time ones too) to the process behind `pidfd`.
///
/// - Errors: `ESRCH` when it has been reaped.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed; the rest are plain integers.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
    .map(drop)
}

/// Gives this thread another session keyring: a new one without a name, or the one of that name, made when missing.
///
/// - Errors: `EDQUOT` when its user may have no key more; `ENOSYS` when the kernel has no keys.
/// - Source: keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`.
pub fn join_session_keyring(name: Option<&CStr>) -> io::Result<()> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: `name` is null or NUL-terminated and lives across the call; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name) }).map(drop)
}

/// Has the command's process end by SIGKILL when this one ends. This one has one thread: the kernel counts by threads.
pub fn end_with_this_process(command: &mut Command) {
    let parent = std::process::id();
    let follow = move || {
        // SAFETY: plain integers.
        check(libc::c_long::from(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }))?;
        // SAFETY: no precondition.
        let still = unsafe { libc::getppid() };
        if still as u32 == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec `follow` makes two system calls and neither allocates nor takes a lock.
    unsafe { command.pre_exec(follow) };
}

/// Does nothing until it is killed, at the latest when the parent ends. For a child whose namespaces are wanted.
pub fn wait_for_death() -> ! {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    loop {
        // SAFETY: no precondition.
        unsafe { libc::pause() };
    }
}

/// Gives the stack pages back that deeper calls have used: called once the set-up is over and the shim starts to wait.
pub fn release_stack() {
    const PAGE: usize = 4096;
    /// Deeper than the set-up goes, far less than the smallest stack limit.
    const REACH: usize = 128 << 10;
    let here = 0u8;
    let below = (&raw const here as usize & !(PAGE - 1)) - 2 * PAGE;
    // SAFETY: the range ends two pages below this frame, so it holds no live frame (nor the red zone) of the only
    // thread; what is there was left by calls that have returned. The stack's limit keeps other mappings further
    // away; parts that are not mapped are skipped by the kernel.
    unsafe { libc::madvise((below - REACH) as *mut libc::c_void, REACH, libc::MADV_DONTNEED) };
}

/// Gives free heap pages back to the kernel: called once the set-up's buffers are gone and the shim starts to wait.
pub fn release_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no precondition; it only releases pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}
