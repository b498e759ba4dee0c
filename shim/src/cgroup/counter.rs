// SPDX-License-Identifier: Apache-2.0
//! Kernel files with a name and a number on each line.

/// The value after `name` in a file of `name value` lines.
pub fn counter(text: &str, name: &str) -> u64 {
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
