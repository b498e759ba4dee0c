// SPDX-License-Identifier: Apache-2.0
//! How often the kernel's OOM killer struck in a cgroup.

use super::Cgroup;

/// The number of processes of this cgroup (and below) that the OOM killer ended; 0 when it cannot be told.
///
/// - Source: `oom_kill` in v2 `memory.events` (hierarchical), in v1 `memory.oom_control` (since 4.13).
pub fn oom_kills(cgroup: &Cgroup) -> u64 {
    let Some(dir) = cgroup.controller("memory") else { return 0 };
    let file = if cgroup.is_v2() { "memory.events" } else { "memory.oom_control" };
    counter(&dir.read(file).unwrap_or_default(), "oom_kill")
}

/// The value after `name` in a file of `name value` lines.
pub(super) fn counter(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn the_counter_is_found_by_its_whole_name() {
        let v2 = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(counter(v2, "oom_kill"), 2);
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n";
        assert_eq!(counter(v1, "oom_kill"), 1);
        assert_eq!(counter("", "oom_kill"), 0);
    }
}
