// SPDX-License-Identifier: Apache-2.0
//! The sub-cgroups of execs that have ended but left a process behind, such as a helper that a hook started.
//!
//! Each is removed once it is empty. That is polled, less and less often, and also checked when a later exec ends. Any
//! that are left when the container ends are removed with its cgroup.

use crate::cgroup::Cgroup;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most cgroups that one round checks, so that many helpers do not slow an exec down.
const AT_ONCE: usize = 16;
/// The first pause before another round.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(600);

/// Numbers of execs, in the order in which they are checked.
#[derive(Debug, Default)]
pub struct Leftovers {
    execs: VecDeque<u64>,
    look_at: Option<Instant>,
    pause: Duration,
}

impl Leftovers {
    /// Adds an exec that is finished except for its cgroup.
    pub fn take(&mut self, exec: u64, now: Instant) {
        self.execs.push_back(exec);
        self.look_soon(now);
    }

    /// When the next round is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.look_at
    }

    /// Runs a round if one is due.
    pub fn on_time(&mut self, cgroup: &Cgroup, now: Instant) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_with(|exec| cgroup.remove_exec(exec), now);
        }
    }

    /// Runs a round out of turn, when other work makes it cheap.
    pub fn look(&mut self, cgroup: &Cgroup, now: Instant) {
        self.look_with(|exec| cgroup.remove_exec(exec), now);
    }

    fn look_with(&mut self, remove: impl Fn(u64) -> bool, now: Instant) {
        let mut removed = false;
        for _ in 0..AT_ONCE.min(self.execs.len()) {
            let Some(exec) = self.execs.pop_front() else { break };
            match remove(exec) {
                true => removed = true,
                false => self.execs.push_back(exec),
            }
        }
        match (self.execs.is_empty(), removed) {
            (true, _) => *self = Self::default(),
            (false, true) => self.look_soon(now),
            (false, false) => {
                if self.look_at.is_none_or(|at| at <= now) {
                    self.look_at = Some(now + self.pause);
                    self.pause = (self.pause * 2).min(LONGEST);
                }
            }
        }
    }

    fn look_soon(&mut self, now: Instant) {
        self.pause = SHORTEST;
        self.look_at = Some(now + SHORTEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(execs: std::ops::Range<u64>, now: Instant) -> Leftovers {
        let mut left = Leftovers::default();
        execs.for_each(|exec| left.take(exec, now));
        left
    }

    #[test]
    fn what_stays_is_looked_at_more_and_more_seldom_and_what_goes_is_forgotten() {
        let begun = Instant::now();
        let (mut left, mut now, mut looks) = (left(1..3, begun), begun, 0);
        while now < begun + Duration::from_secs(3600) {
            now = left.next_time().expect("there is one");
            left.look_with(|exec| exec == 1, now);
            looks += 1;
        }
        assert!(looks < 25 && left.execs == [2], "{looks} {left:?}");
        left.look_with(|_| true, now);
        assert!(left.next_time().is_none() && left.execs.is_empty());
    }

    #[test]
    fn a_look_is_short_and_the_next_one_goes_on_where_it_ended() {
        let now = Instant::now();
        let mut left = left(0..40, now);
        for _ in 0..3 {
            left.look_with(|exec| exec >= 32, now);
        }
        assert_eq!(left.execs.len(), 32, "all were checked");
    }

    #[test]
    fn others_work_does_not_put_the_next_look_off() {
        let now = Instant::now();
        let mut left = left(1..2, now);
        let due = left.next_time();
        left.look_with(|_| false, now);
        assert_eq!(left.next_time(), due);
    }
}
