// SPDX-License-Identifier: Apache-2.0
//! Whether pods can be attached, as the node's condition says it: without the flutter of an agent that restarts.

use std::time::{Duration, Instant};

/// How long a network that was well may fail before the node says so. Agents restart in 10 to 15 seconds.
const GRACE: Duration = Duration::from_secs(60);

/// What was seen of a network over time.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    was_well: bool,
    /// Since when it fails without a break, and why it does now.
    failing: Option<(Instant, String)>,
}

impl Readiness {
    /// Notes what was seen. Returns true when the network is well and was not just before.
    pub fn note(&mut self, now: Instant, seen: Result<(), String>) -> bool {
        match seen {
            Ok(()) => {
                let turned = !self.was_well || self.failing.is_some();
                (self.was_well, self.failing) = (true, None);
                turned
            }
            Err(why) => {
                let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
                self.failing = Some((since, why));
                false
            }
        }
    }

    /// Whether the node says that it is ready.
    ///
    /// # Errors
    /// Why not.
    pub fn at(&self, now: Instant) -> Result<(), &str> {
        match &self.failing {
            None if self.was_well => Ok(()),
            None => Err("the network has not said yet whether it is ready"),
            Some((since, _)) if self.was_well && now.saturating_duration_since(*since) < GRACE => Ok(()),
            Some((_, why)) => Err(why),
        }
    }

    /// Why it fails, also while the node does not say so yet.
    pub fn failing(&self) -> Option<&str> {
        self.failing.as_ref().map(|(_, why)| why.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_was_well_may_fail_for_a_minute() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut seen = Readiness::default();
        assert!(seen.at(at(0)).is_err(), "nothing was seen yet");
        assert!(!seen.note(at(0), Err("no file".into())));
        assert_eq!(seen.at(at(0)), Err("no file"), "there was never a network");
        assert!(seen.note(at(1), Ok(())));
        assert!(!seen.note(at(2), Ok(())), "it was well before");
        seen.note(at(10), Err("agent away".into()));
        seen.note(at(40), Err("still away".into()));
        assert_eq!(seen.at(at(69)), Ok(()));
        assert_eq!(seen.failing(), Some("still away"));
        assert_eq!(seen.at(at(70)), Err("still away"));
        assert!(seen.note(at(71), Ok(())));
        seen.note(at(72), Err("away again".into()));
        assert_eq!(seen.at(at(131)), Ok(()), "the minute begins anew");
    }
}
