// SPDX-License-Identifier: Apache-2.0
//! The requests of a daemon to a running container, checked.

use crate::cgroup::Resources;
use crate::malformed::{Malformed, Result};
use crate::order::score;
use crate::wire;

/// The valid signal numbers.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// The process that a request addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The container's first process.
    Container,
    /// The process of an exec.
    Exec(u64),
}

impl From<u64> for Target {
    fn from(exec: u64) -> Self {
        if exec == 0 { Self::Container } else { Self::Exec(exec) }
    }
}

/// A signal to a process.
#[derive(Debug)]
pub struct Signal {
    /// The process that gets it.
    pub target: Target,
    /// Its number.
    pub number: i32,
}

impl Signal {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid signal number.
    pub fn checked(signal: wire::Signal) -> Result<Self> {
        Ok(Self { target: signal.exec.into(), number: number("number", signal.number)? })
    }
}

/// A stop: a signal, and SIGKILL after the grace period.
#[derive(Debug)]
pub struct Stop {
    /// The signal; without a grace period it is not sent.
    pub signal: i32,
    /// The grace period, in milliseconds.
    pub grace_ms: u64,
}

impl Stop {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid signal number with a grace period.
    pub fn checked(stop: wire::Stop) -> Result<Self> {
        let signal = if stop.grace_ms == 0 { libc::SIGKILL } else { number("signal", stop.signal)? };
        Ok(Self { signal, grace_ms: stop.grace_ms })
    }
}

/// Limits to change, all or none.
#[derive(Debug)]
pub struct Update {
    /// The limits of the cgroup.
    pub resources: Resources,
    /// The OOM score of all processes; `None` leaves it unchanged.
    pub oom_score_adj: Option<i32>,
}

impl Update {
    /// Checks the message.
    ///
    /// # Errors
    /// For an invalid limit or score.
    pub fn checked(update: wire::UpdateResources) -> Result<Self> {
        let resources = update.resources.map_or_else(|| Ok(Resources::default()), Resources::checked);
        Ok(Self {
            resources: resources.map_err(|wrong| wrong.within("resources"))?,
            oom_score_adj: update.oom_score_adj.map(score).transpose()?,
        })
    }
}

/// The size of a terminal.
#[derive(Debug)]
pub struct Resize {
    /// The process whose terminal is resized.
    pub target: Target,
    /// Lines.
    pub rows: u32,
    /// Characters in a line.
    pub columns: u32,
}

impl From<wire::ResizeTty> for Resize {
    fn from(resize: wire::ResizeTty) -> Self {
        Self { target: resize.exec.into(), rows: resize.rows, columns: resize.columns }
    }
}

fn number(field: &str, number: i32) -> Result<i32> {
    if SIGNALS.contains(&number) { Ok(number) } else { Err(Malformed::new(field, format!("{number} is not a signal"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signals_are_signals_and_a_stop_without_a_grace_needs_none() {
        for (wrong, right) in [(0, 1), (65, 64), (-9, 9)] {
            assert!(Signal::checked(wire::Signal { exec: 0, number: wrong }).is_err(), "{wrong}");
            assert!(Stop::checked(wire::Stop { signal: wrong, grace_ms: 1 }).is_err(), "{wrong}");
            assert_eq!(Signal::checked(wire::Signal { exec: 7, number: right }).unwrap().target, Target::Exec(7));
        }
        assert!(Stop::checked(wire::Stop { signal: 0, grace_ms: 0 }).is_ok());
    }

    #[test]
    fn an_update_is_checked_like_a_start() {
        let resources = wire::Resources { cpu_shares: -1, ..wire::Resources::default() };
        let limits = wire::UpdateResources { resources: Some(resources), oom_score_adj: None };
        let score = wire::UpdateResources { resources: None, oom_score_adj: Some(wire::OomScoreAdj { value: 1001 }) };
        assert!(Update::checked(limits).is_err() && Update::checked(score).is_err());
        assert!(Update::checked(wire::UpdateResources::default()).is_ok());
    }
}
