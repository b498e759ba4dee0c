// SPDX-License-Identifier: Apache-2.0
//! What this process does about signals. Asked of the kernel: the C library refuses two of them, 32 and 33, which it
//! uses itself, and a parent may have left just those ignored.

/// A `struct sigaction` as the kernel has it. The mask is all of it that differs between machines, and always empty here.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Ignores every signal that can be ignored, SIGCHLD among them: the kernel then reaps this process's children, and
/// those it inherits, by itself.
pub fn ignore_signals() {
    for signal in 1..=64 {
        ignore_signal(signal);
    }
}

/// Ignores one signal, when it can be.
fn ignore_signal(signal: libc::c_int) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { act(signal, libc::SIG_IGN) }
}

/// Puts every signal back to its default action and unblocks all: what a fresh program expects.
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler.
        unsafe { act(signal, libc::SIG_DFL) }
    }
    let none = 0u64;
    // SAFETY: the new set is 8 bytes, as said, lives across the call and is only read; the old one is not asked for.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0usize, size_of::<u64>()) };
}

/// Forgets what the parent did to signals, and ignores SIGPIPE: a write to a closed socket or pipe is an error.
pub fn prepare_signals() {
    reset_signals();
    ignore_signal(libc::SIGPIPE);
}

/// Sets a signal's action. SIGKILL and SIGSTOP cannot be set, and the kernel's refusal changes nothing.
///
/// # Safety
/// `handler` is SIG_DFL or SIG_IGN: a handler would need the C library's way back from it.
unsafe fn act(signal: libc::c_int, handler: libc::sighandler_t) {
    let action = Action { handler, ..Action::default() };
    // SAFETY: `action` is of the kernel's form and lives across the call, which only reads it; the old action is not
    // asked for; the mask's size is the kernel's. That no code of ours is called is the caller's contract.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, 0usize, size_of::<u64>()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: &str = "GORAE_TEST_SIGNALS";

    fn mask(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn every_signal_is_at_its_default_and_none_is_blocked_after_a_reset() {
        if std::env::var_os(INSIDE).is_none() {
            // A process of its own, in which nothing else counts on its signals.
            let name = "sys::signals::tests::every_signal_is_at_its_default_and_none_is_blocked_after_a_reset";
            let mut inside = std::process::Command::new(std::env::current_exe().unwrap());
            let output = inside.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains("1 passed"), "{said}{output:?}");
            return;
        }
        ignore_signals();
        // All but SIGKILL and SIGSTOP.
        assert_eq!(mask("SigIgn:"), !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1)));
        let all = u64::MAX;
        // SAFETY: as in `reset_signals`.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, 0usize, size_of::<u64>()) };
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("SigBlk:\tfffffffffffbfeff"), "{status}");
        reset_signals();
        assert_eq!((mask("SigIgn:"), mask("SigCgt:")), (0, 0));
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    }
}
