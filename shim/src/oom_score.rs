// SPDX-License-Identifier: Apache-2.0
//! Changes the OOM scores of a container's processes while they run.

use crate::failure::{self, Result};
use std::collections::BTreeMap;
use std::fs;

/// How often the processes are listed. A changed process passes its score on to later children, so a few rounds find
/// all that were forked in the meantime.
const ROUNDS: usize = 8;

/// The scores before a change, by pid. An empty score belongs to a process that has ended.
#[derive(Debug, Default)]
pub struct Before(BTreeMap<i32, String>);

/// Gives this score to all `processes`, which is called again until it returns no new ones.
///
/// # Errors
/// The kernel's error; the scores are then put back. It is not an error if a process has ended in the meantime.
pub fn change(processes: impl Fn() -> Vec<i32>, score: i32) -> Result<Before> {
    let mut before = Before::default();
    for _ in 0..ROUNDS {
        let fresh: Vec<i32> = processes().into_iter().filter(|pid| !before.0.contains_key(pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            match exchange(pid, score) {
                Ok(old) => drop(before.0.insert(pid, old)),
                Err(e) if is_gone(&e) => drop(before.0.insert(pid, String::new())),
                Err(e) => {
                    before.put_back();
                    return Err(failure::kernel("set oom_score_adj", format!("{score} of process {pid}"), e));
                }
            }
        }
    }
    Ok(before)
}

impl Before {
    /// Gives each process its old score back.
    pub fn put_back(&self) {
        for (pid, old) in self.0.iter().filter(|(_, old)| !old.is_empty()) {
            // Fails only for processes that have ended: changing the others was allowed a moment ago.
            let _ = fs::write(path(*pid), old);
        }
    }
}

fn exchange(pid: i32, score: i32) -> std::io::Result<String> {
    let old = fs::read_to_string(path(pid))?.trim_end().to_owned();
    fs::write(path(pid), score.to_string())?;
    Ok(old)
}

fn path(pid: i32) -> String {
    format!("/proc/{pid}/oom_score_adj")
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}
