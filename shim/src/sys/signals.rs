// SPDX-License-Identifier: Apache-2.0
//! Signals of a process that nothing but SIGKILL may end.

/// Ignores every signal that can be ignored, SIGCHLD among them: the kernel then reaps this process's children, and
/// those it inherits, by itself.
pub fn ignore_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_IGN installs no handler. The C library refuses its own two and the kernel refuses SIGKILL and
        // SIGSTOP; those answers change nothing.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
