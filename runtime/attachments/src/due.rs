// SPDX-License-Identifier: Apache-2.0
//! Which of the owed DELs are tried now.
//!
//! Each has a time of its own, which goes away from it with every failure. That a network is back would be noticed late
//! then, so of each network that is configured the one that was tried longest ago is tried every few seconds. Networks do
//! not wait for each other: the plugins of one may hang.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often one of the debts of a configured network is tried, whatever its own pause.
const PROBE: Duration = Duration::from_secs(5);
/// DELs at the same time, of each network.
const PARALLEL: usize = 8;
/// When one is looked at again at which somebody else works, such as the pod's own stop.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A debt, as far as the choice is concerned.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The pod's id.
    pub pod_id: String,
    /// Name of the network.
    pub network: String,
    /// Whether that network is configured, so that it may be back any moment.
    pub is_configured: bool,
    /// When it is tried next.
    pub due: Instant,
    /// When it was tried last.
    pub tried: Option<Instant>,
    /// What is done about it now.
    pub under_way: UnderWay,
}

/// What is done about a debt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderWay {
    /// Nothing.
    Nothing,
    /// It is tried.
    Try,
    /// Somebody else works at the attachment.
    Other,
}

/// The pods whose debts are to be tried now, and when to look again.
pub fn due(all: &[Candidate], now: Instant) -> (Vec<String>, Option<Instant>) {
    let mut networks: HashMap<&str, Vec<&Candidate>> = HashMap::new();
    for candidate in all {
        networks.entry(&candidate.network).or_default().push(candidate);
    }
    let mut chosen = Vec::new();
    let mut next: Option<Instant> = None;
    for mut of_network in networks.into_values() {
        // Some may hang for as long as they may take: each has its turn before one has a second one.
        of_network.sort_by_key(|one| one.tried);
        let running = of_network.iter().filter(|one| one.under_way == UnderWay::Try).count();
        // Each that ends makes somebody look again.
        let mut room = PARALLEL.saturating_sub(running);
        let probe = probe(&of_network, now);
        for one in of_network.iter().filter(|one| one.under_way != UnderWay::Try) {
            let at = match &probe {
                Some((probe, at)) if *probe == one.pod_id => one.due.min(*at),
                _ => one.due,
            };
            let at = if one.under_way == UnderWay::Other { at.max(now + LOOK_AGAIN) } else { at };
            if at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
            } else if room > 0 {
                room -= 1;
                chosen.push(one.pod_id.clone());
            }
        }
    }
    (chosen, next)
}

/// The debt of a network that was tried longest ago, and when it is tried again at the latest.
fn probe<'a>(of_network: &[&'a Candidate], now: Instant) -> Option<(&'a str, Instant)> {
    let idle = of_network.iter().filter(|one| one.under_way == UnderWay::Nothing && one.is_configured);
    let probe = idle.min_by_key(|one| one.tried)?;
    let last = of_network.iter().filter_map(|one| one.tried).max();
    Some((&probe.pod_id, last.map_or(now, |last| last + PROBE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn candidate(pod_id: &str, network: &str, due: Instant, tried: Option<Instant>) -> Candidate {
        let (pod_id, network) = (pod_id.into(), network.into());
        Candidate { pod_id, network, is_configured: true, due, tried, under_way: UnderWay::Nothing }
    }

    #[test]
    fn each_is_tried_when_it_is_due_and_the_one_tried_longest_ago_every_few_seconds() {
        let now = Instant::now() + seconds(1000);
        let late = now + seconds(200);
        let all = [
            candidate("a", "n", late, Some(now - seconds(9))),
            candidate("b", "n", late, Some(now - seconds(7))),
            candidate("c", "m", now, Some(now - seconds(1))),
            candidate("d", "m", now + seconds(50), Some(now - seconds(2))),
        ];
        let (mut chosen, next) = due(&all, now);
        chosen.sort();
        assert_eq!(chosen, ["a", "c"]);
        assert_eq!(next, Some(now + seconds(4)), "d, five seconds after c");
        assert_eq!(due(&[], now), (Vec::new(), None));
        assert_eq!(due(&all[..1], now - seconds(5)).0, Vec::<String>::new());
    }

    #[test]
    fn a_network_that_is_gone_is_tried_only_when_it_is_due() {
        let now = Instant::now() + seconds(1000);
        let late = now + seconds(200);
        let mut all = [candidate("a", "n", late, Some(now - seconds(9)))];
        assert_eq!(due(&all, now).0, ["a"]);
        all[0].is_configured = false;
        assert_eq!(due(&all, now), (Vec::new(), Some(late)));
    }

    #[test]
    fn a_network_whose_tries_all_hang_holds_up_no_other() {
        let now = Instant::now();
        let mut all: Vec<_> = (0..20).map(|i| candidate(&format!("n{i}"), "n", now, None)).collect();
        let (chosen, next) = due(&all, now);
        assert_eq!((chosen.len(), next), (PARALLEL, None), "the end of each is heard");
        all.iter_mut().take(PARALLEL).for_each(|one| one.under_way = UnderWay::Try);
        all.push(candidate("m", "m", now, None));
        assert_eq!(due(&all, now).0, ["m"]);
    }

    #[test]
    fn one_that_somebody_else_works_at_is_left_alone_for_now() {
        let now = Instant::now();
        let mut all = [candidate("a", "n", now, None), candidate("b", "n", now, None)];
        all[0].under_way = UnderWay::Other;
        assert_eq!(due(&all, now), (vec!["b".to_owned()], Some(now + LOOK_AGAIN)));
    }
}
