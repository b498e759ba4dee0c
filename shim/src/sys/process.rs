// SPDX-License-Identifier: Apache-2.0
//! Processes: exec, exit, signals.

use super::answer::check;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Replaces this process with the program `path`. Returns only on failure, with the error.
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

/// Sends a signal by number, which may be a real-time signal, to the process behind `pidfd`.
///
/// # Errors
/// `ESRCH` when the process has been reaped.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed; the rest are plain integers.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
    .map(drop)
}

/// Gives this thread another session keyring: a new anonymous one, or the one of that name, created if it is missing.
///
/// - Source: keyctl(2), `KEYCTL_JOIN_SESSION_KEYRING`.
///
/// # Errors
/// `EDQUOT` when its user may not have more keys; `ENOSYS` when the kernel does not support keys.
pub fn join_session_keyring(name: Option<&CStr>) -> io::Result<()> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: `name` is null or NUL-terminated and lives across the call; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name) }).map(drop)
}

/// Makes the kernel kill the command's process when this one ends. It acts on the end of the parent thread, which is the
/// end of this process because it has only one.
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

/// Makes the command's process execute `path` itself, after what was asked of it before. The C library, which would do it
/// otherwise, hands a file that is not a program to a shell, and so would run a half-written plugin as an empty script.
pub fn execute_exactly(command: &mut Command, path: CString, args: Vec<CString>, env: Vec<CString>) {
    let execute = move || Err(execve(&path, &args, &env));
    // SAFETY: between fork and exec `execute` allocates, which is allowed because this process has one thread: none can
    // have held a lock of the allocator at the fork. It takes no other lock.
    unsafe { command.pre_exec(execute) };
}

/// Sleeps until it is killed, at the latest when the parent ends. For a child that only keeps namespaces alive.
pub fn wait_for_death() -> ! {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    loop {
        // SAFETY: no precondition.
        unsafe { libc::pause() };
    }
}
