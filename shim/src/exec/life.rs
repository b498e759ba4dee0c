// SPDX-License-Identifier: Apache-2.0
//! An exec's process as the shim knows it, what its client has been told, and how it comes to its end.
//!
//! ```text
//! Life     unborn ──its pid is known──> running ──reaped──> ended
//!             '──the middle process was killed before the clone──^
//! Report   owed ──the program runs──> started ──reaped, its tree is gone──> done
//!             '──it could not be started──────────────────────────────────────^
//! ```
//! The two are apart because their events arrive in any order: a short program has ended before the shim sees that it has
//! started.

use super::birth::Birth;
use crate::fault::Watcher;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// Where the process is in its life.
#[derive(Debug)]
pub enum Life {
    /// Its pid is not known yet. `None`: what was reported as its pid was not its pid.
    Unborn(Option<Birth>),
    /// It runs; the pidfd is readable once it has ended.
    Running(OwnedFd),
    /// It has been reaped.
    Ended {
        /// Its exit code, 128 + n after signal n.
        exit_code: i32,
        /// When it was reaped.
        at: Instant,
    },
}

/// What its client has been told.
#[derive(Debug)]
pub enum Report {
    /// Nothing yet.
    Owed {
        /// The request that waits for its reply.
        request: u64,
        /// Shows whether it has started its program.
        watcher: Watcher,
    },
    /// That it has started.
    Started,
    /// That it has ended, or why it could not be started.
    Done,
}

/// How an exec comes to its end. The later ones include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// By itself. Processes that it leaves behind stay.
    Own,
    /// It is killed.
    Killed,
    /// It is killed with every process that it leaves behind.
    WithTree,
    /// The same, because its time is over; its client is told that.
    TimedOut,
    /// The same, because its client is gone.
    Orphaned,
}

impl Life {
    /// The pid that was reported for a process that is not known yet.
    pub fn reported(&mut self) -> Option<i32> {
        match self {
            Self::Unborn(birth) => birth.as_mut().and_then(Birth::child),
            _ => None,
        }
    }

    /// Drops the report: the pid is not the process's.
    pub fn distrust(&mut self) {
        if let Self::Unborn(birth) = self {
            *birth = None;
        }
    }

    /// The process is known, and runs.
    pub fn begin(&mut self, pidfd: OwnedFd) {
        if let Self::Unborn(_) = self {
            *self = Self::Running(pidfd);
        }
    }

    /// The process has been reaped, or never was.
    pub fn end(&mut self, exit_code: i32, at: Instant) {
        if !self.has_ended() {
            *self = Self::Ended { exit_code, at };
        }
    }

    /// Whether its process has not been created or found yet.
    pub fn is_unborn(&self) -> bool {
        matches!(self, Self::Unborn(_))
    }

    /// Whether it has been reaped.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// The pidfd, while it runs.
    pub fn pidfd(&self) -> Option<&OwnedFd> {
        match self {
            Self::Running(pidfd) => Some(pidfd),
            _ => None,
        }
    }
}

impl Ending {
    /// Whether processes that it leaves behind are killed, and waited for.
    pub fn takes_tree(self) -> bool {
        self >= Self::WithTree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fd() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    fn named(life: &Life) -> String {
        match life {
            Life::Unborn(birth) => format!("unborn, {}", if birth.is_some() { "told" } else { "not told" }),
            Life::Running(_) => "running".into(),
            Life::Ended { exit_code, .. } => format!("ended {exit_code}"),
        }
    }

    #[test]
    fn every_event_in_every_state_of_a_life() {
        let now = Instant::now();
        let states: [fn() -> Life; 4] = [
            || Life::Unborn(Some(Birth::told_by(fd()))),
            || Life::Unborn(None),
            || Life::Running(fd()),
            || Life::Ended { exit_code: 7, at: Instant::now() },
        ];
        // Rows: states; columns: distrust, begin, end.
        let table = [
            ["unborn, not told", "running", "ended 9"],
            ["unborn, not told", "running", "ended 9"],
            ["running", "running", "ended 9"],
            ["ended 7", "ended 7", "ended 7"],
        ];
        let events: [&dyn Fn(&mut Life); 3] = [&Life::distrust, &|life| life.begin(fd()), &|life| life.end(9, now)];
        for (state, row) in states.iter().zip(table) {
            for (event, wanted) in events.iter().zip(row) {
                let mut life = state();
                event(&mut life);
                assert_eq!(named(&life), wanted, "from {}", named(&state()));
            }
        }
    }

    #[test]
    fn the_stronger_ending_counts_and_from_the_tree_on_all_take_it() {
        let all = [Ending::Own, Ending::Killed, Ending::WithTree, Ending::TimedOut, Ending::Orphaned];
        assert!(all.is_sorted());
        assert_eq!(all.map(Ending::takes_tree), [false, false, true, true, true]);
    }
}
