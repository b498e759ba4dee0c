// SPDX-License-Identifier: Apache-2.0
//! The number of OOM kills in a cgroup.

use super::counter::counter;
use super::group::Cgroup;

/// The number of processes of this cgroup (and below) that the OOM killer has killed; 0 when it cannot be read.
///
/// - Source: `oom_kill` in v2 `memory.events` (hierarchical), in v1 `memory.oom_control` (since 4.13).
pub fn oom_kills(cgroup: &Cgroup) -> u64 {
    let Some(dir) = cgroup.controller("memory") else { return 0 };
    let file = if cgroup.is_v2() { "memory.events" } else { "memory.oom_control" };
    counter(&dir.read(file).unwrap_or_default(), "oom_kill")
}
