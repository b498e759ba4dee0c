// SPDX-License-Identifier: Apache-2.0
//! Sets how this process handles signals, by raw system calls: the C library refuses to change 32 and 33, which it uses
//! itself, but a parent may have left exactly those ignored.

/// The kernel's `struct sigaction`. Only the mask differs between machines, and it is always empty here.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Ignores every signal that can be ignored. That includes SIGCHLD, so the kernel reaps this process's children, and those
/// it inherits, by itself.
pub fn ignore_signals() {
    for signal in 1..=64 {
        ignore_signal(signal);
    }
}

/// Ignores one signal, if it can be ignored.
fn ignore_signal(signal: libc::c_int) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { act(signal, libc::SIG_IGN) }
}

/// Resets every signal to its default action and unblocks all of them, as a new program expects.
pub fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler.
        unsafe { act(signal, libc::SIG_DFL) }
    }
    let none = 0u64;
    // SAFETY: the new set has the size that is passed, lives across the call and is only read; no old set is requested.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0usize, size_of::<u64>()) };
}

/// Undoes the parent's signal settings, and ignores SIGPIPE: a write to a closed socket or pipe then returns an error.
pub fn prepare_signals() {
    reset_signals();
    ignore_signal(libc::SIGPIPE);
}

/// Sets a signal's action. The kernel refuses to set SIGKILL and SIGSTOP, which has no other effect.
///
/// # Safety
/// `handler` is SIG_DFL or SIG_IGN: an actual handler would need the C library's code to return from it.
unsafe fn act(signal: libc::c_int, handler: libc::sighandler_t) {
    let action = Action { handler, ..Action::default() };
    // SAFETY: `action` has the kernel's layout and lives across the call, which only reads it; no old action is requested;
    // the mask's size is the kernel's. By the caller's contract, none of our code is called.
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
            // Runs in its own process, where nothing else depends on the signals.
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
