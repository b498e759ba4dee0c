// SPDX-License-Identifier: Apache-2.0
//! When the network is asked for GC, and what is said of it: once in the life of the daemon, as soon as that is possible.

use crate::collect::Collected;
use crate::error::Result;
use gorae_cni::list::List;
use std::time::{Duration, Instant};

/// The pause after something that only time or an operator changes: another runtime's pods, a plugin that fails.
const PAUSE: Duration = Duration::from_secs(600);

/// What is known of the network's GC.
#[derive(Debug, Default)]
pub struct Collection {
    /// The name of the network whose left-overs were collected.
    done: Option<String>,
    /// The list whose GC was not possible, when that was, and why.
    tried: Option<(List, Instant, String)>,
}

impl Collection {
    /// Whether to ask now. A list that has changed may be one that can be asked.
    pub fn is_due(&self, list: &List, now: Instant) -> bool {
        let waits =
            |(tried, at, _): &(List, Instant, String)| tried == list && now.saturating_duration_since(*at) < PAUSE;
        self.done.as_ref() != Some(&list.name) && !self.tried.as_ref().is_some_and(waits)
    }

    /// Notes the outcome, and logs it unless it is what the last one was.
    pub fn note(&mut self, list: &List, now: Instant, outcome: &Result<Collected>) {
        let why = match outcome {
            Ok(Collected::Later) => return,
            Ok(Collected::Done) => {
                tracing::info!(network = list.name, "the network's left-overs are collected");
                self.done = Some(list.name.clone());
                self.tried = None;
                return;
            }
            Ok(Collected::Unasked) => "its list is older than CNI 1.1.0 or has disableGC".to_owned(),
            Ok(Collected::Damaged) => "the record of an attachment is damaged".to_owned(),
            Ok(Collected::Shared(trace)) => format!("another runtime may have pods in it: {trace}"),
            Err(error) => error.to_string(),
        };
        let is_new = self.tried.as_ref().is_none_or(|(_, _, last)| *last != why);
        match outcome {
            Err(_) if is_new => {
                tracing::warn!(network = list.name, why, "cannot collect the network's left-overs; trying again later");
            }
            Ok(Collected::Shared(_) | Collected::Damaged) if is_new => {
                tracing::info!(network = list.name, why, "the network's left-overs are not collected")
            }
            _ => tracing::debug!(network = list.name, why, "the network's left-overs are not collected"),
        }
        self.tried = Some((list.clone(), now, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use gorae_cni::list::parse;

    fn list(version: &str) -> List {
        let text = format!(r#"{{"name":"n","cniVersion":"{version}","plugins":[{{"type":"x"}}]}}"#);
        parse(text.as_bytes(), |_| Ok(Vec::new())).expect("a list")
    }

    #[test]
    fn only_what_is_done_is_not_asked_for_again() {
        let (now, list) = (Instant::now(), list("1.1.0"));
        let failed = || Err(Error::Busy { pod: "p".into() });
        let shared = || Ok(Collected::Shared("/run/netns/x".into()));
        for (outcome, soon, later) in [
            (Ok(Collected::Later), true, true),
            (shared(), false, true),
            (Ok(Collected::Damaged), false, true),
            (failed(), false, true),
            (Ok(Collected::Done), false, false),
        ] {
            let mut collection = Collection::default();
            assert!(collection.is_due(&list, now));
            collection.note(&list, now, &outcome);
            let at = |seconds| now + Duration::from_secs(seconds);
            assert_eq!(collection.is_due(&list, at(5)), soon, "{outcome:?}");
            assert_eq!(collection.is_due(&list, at(600)), later, "{outcome:?}");
        }
    }

    #[test]
    fn a_list_that_becomes_one_that_knows_gc_is_asked_at_once() {
        let (now, old, new) = (Instant::now(), list("1.0.0"), list("1.1.0"));
        let mut collection = Collection::default();
        collection.note(&old, now, &Ok(Collected::Unasked));
        assert!(!collection.is_due(&old, now) && collection.is_due(&new, now));
    }
}
