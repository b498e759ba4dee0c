// SPDX-License-Identifier: Apache-2.0
//! GetContainerEvents against a model of what must be seen, over random histories.
//!
//! `GORAE_SEED=N` repeats a history, `GORAE_STEPS=N` makes it longer. What runs by itself (exits, kills of the daemon)
//! still falls where the machine lets it fall.

mod follower;
mod history;

use follower::Follower;
use futures_util::FutureExt;
use gorae_tests::{Node, on_a_node_for};
use history::{History, Random};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// Steps of the usual run.
const STEPS: u64 = 250;
/// How long the events of what has been done may be on their way.
const ON_THE_WAY: Duration = Duration::from_secs(10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|e| panic!("{name}={text:?}: {e}")))
}

#[test]
fn no_event_is_lost_doubled_or_out_of_order_after_a_snapshot() {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("GORAE_SEED").unwrap_or(u64::from(clock.subsec_nanos()));
    let steps = number("GORAE_STEPS").unwrap_or(STEPS);
    println!("GORAE_SEED={seed} GORAE_STEPS={steps}");
    on_a_node_for(Duration::from_secs(120 + steps), async |node| {
        let counts = run(node, seed, steps).await;
        println!("{counts:?}");
        assert!(counts.events > steps && counts.kills > 0, "the history was too quiet: {counts:?}");
    });
}

/// What a run consisted of.
#[derive(Debug, Default)]
struct Counts {
    events: u64,
    kills: u64,
    streams: u64,
}

async fn run(node: &Node, seed: u64, steps: u64) -> Counts {
    let (mut random, mut counts) = (Random::new(seed), Counts::default());
    let history = History::new(node).await;
    let mut follower = Follower::subscribe(node).await;
    for _ in 0..steps {
        let batch = history.choose(&mut random);
        let kill_after = (random.below(8) == 0).then(|| Duration::from_micros(random.below(20_000)));
        let away = Duration::from_millis(random.below(150));
        let work = history.carry_out(batch).shared();
        if let Some(pause) = kill_after {
            tokio::select! {
                () = work.clone() => {}
                () = tokio::time::sleep(pause) => {}
            }
            node.daemon().kill();
            counts.events += follower.end_with_the_daemon().await;
            counts.kills += 1;
            tokio::time::sleep(away).await;
            // The work goes on trying meanwhile, as kubelet does.
            tokio::select! {
                () = node.restart() => {}
                () = async { work.clone().await; std::future::pending().await } => {}
            }
            follower = Follower::subscribe(node).await;
        }
        work.await;
        if random.below(12) == 0 {
            history.settle().await;
            counts.events += follower.end_at_rest(node, ON_THE_WAY).await;
            counts.streams += 1;
            follower = Follower::subscribe(node).await;
        }
    }
    history.settle().await;
    counts.events += follower.end_at_rest(node, ON_THE_WAY).await;
    counts.streams += 1;
    counts
}

/// Receives until `enough` says so of what came, for a limited time.
async fn receive_until<T>(from: &mut UnboundedReceiver<T>, limit: Duration, mut enough: impl FnMut(Option<T>) -> bool) {
    let begun = Instant::now();
    if enough(None) {
        return;
    }
    while let Ok(Some(event)) = tokio::time::timeout(limit.saturating_sub(begun.elapsed()), from.recv()).await {
        if enough(Some(event)) {
            return;
        }
    }
}
