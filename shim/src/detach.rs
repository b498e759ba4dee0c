// SPDX-License-Identifier: Apache-2.0
//! What a process does first that is to outlive the daemon that started it.

/// Leaves the daemon's session, directory and output.
pub fn detach() {
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    if let Ok(null) = crate::devices::open_null() {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    // Keeps other processes in its PID namespace from reading a child of this process through /proc before execve.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
