// SPDX-License-Identifier: Apache-2.0
//! Ends a plugin with everything that it started.

use crate::failure::{self, Result};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, set_child_subreaper, waitpid};
use std::process::Child;
use std::time::Duration;

/// How often the children are looked up. One that forks faster than it is found stays behind.
const ROUNDS: usize = 500;
/// The pause between two times. One that is stuck in the kernel is not waited for any longer than all of them.
const PAUSE: Duration = Duration::from_millis(1);

/// What may still be at work for a plugin that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing, or what it left behind on purpose.
    Nothing,
    /// Processes that could not be killed in time.
    Processes,
}

/// Becomes the parent of processes whose own one ends, so that they can be found.
///
/// # Errors
/// The kernel's.
pub fn adopt_orphans() -> Result<()> {
    let own = rustix::process::getpid();
    set_child_subreaper(Some(own)).map_err(|errno| failure::kernel("become parent of", "a plugin's processes", errno))
}

/// Kills the plugin, its group, and then whatever became a child of this process by that, until nothing is left.
pub fn everything(child: &mut Child) -> Left {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    for _ in 0..ROUNDS {
        // It may be stuck in the kernel; what it started is not spared for that.
        let _ = child.try_wait();
        let children = children();
        if children.is_empty() {
            return Left::Nothing;
        }
        for pid in children {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
        std::thread::sleep(PAUSE);
    }
    Left::Processes
}

/// The children of this process.
fn children() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let text: String = threads.flat_map(|thread| std::fs::read_to_string(thread.path().join("children"))).collect();
    text.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}
