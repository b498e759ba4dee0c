// SPDX-License-Identifier: Apache-2.0
//! Many pods in a network whose plugins misbehave at random, on a node whose daemon is killed at random. `GORAE_SEED` repeats a
//! run, `GORAE_CNI_PODS` makes it longer.

use super::frame::{FILE, bridge, is_in_use, list, nothing_is_kept_within};
use super::recorder::recorder;
use gorae_tests::testing::on_a_node_for;
use gorae_tests::{Cni, Node};
use serde_json::json;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clients at the same time.
const CLIENTS: usize = 8;
/// How often a pod is tried to be ended.
const PATIENCE: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What is drawn from one seed by all clients; their order is the kernel's affair.
struct Luck(AtomicU64);

impl Luck {
    /// A number below `end`.
    fn below(&self, end: u64) -> u64 {
        // The finalizer of MurmurHash3 over a counter.
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        (x ^ (x >> 33)) % end
    }
}

/// A bridge with 253 addresses between two plugins, whose calls go wrong every eighth time.
fn network(node: &Node, cni: &Cni, seed: u64) -> String {
    let [first, last] = ["first", "last"].map(|kind| {
        let mut own = recorder(cni, kind);
        own.as_object_mut().unwrap().remove("record");
        own["mischief"] = json!({"seed": seed, "percent": 12, "tries": 3, "store": node.directory(kind)});
        own
    });
    list("chaos", "1.0.0", &json!([first, bridge("br1", &["10.84.0.0/24"]), last]))
}

#[test]
fn pods_of_plugins_that_misbehave_leave_nothing_although_the_daemon_is_killed_at_any_moment() {
    let pods = usize::try_from(number("GORAE_CNI_PODS").unwrap_or(150)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("GORAE_SEED").unwrap_or_else(|| now.as_micros().try_into().unwrap());
    println!("GORAE_SEED={seed}");
    on_a_node_for(Duration::from_secs(120 + pods as u64), async |node| {
        let cni = Cni::install(&["bridge", "host-local"]);
        is_in_use(node, &cni, FILE, &network(node, &cni, seed)).await;
        let luck = Luck(AtomicU64::new(seed));
        let (begun, next, failed) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
        let clients = (0..CLIENTS).map(|_| lives(node, &luck, &next, pods, &failed));
        tokio::select! {
            _ = futures_util::future::join_all(clients) => {}
            () = kill_at_random(node, &luck) => {}
        }
        // It may have been killed just now.
        node.kill_and_restart().await;
        end_all(node).await;
        nothing_is_kept_within(node, Duration::from_secs(60)).await;
        let starts = node.daemon().log().matches("INFO serving socket").count();
        println!(
            "{pods} pods, {} tries that failed, {starts} starts of the daemon, in {:.0} s",
            failed.load(Ordering::Relaxed),
            begun.elapsed().as_secs_f64()
        );
        drop(cni);
        let _ = std::fs::remove_file(node.daemon().root().join("cni-seen"));
    });
}

/// The life of pods, one after the other. Each is tried as kubelet does, with a new attempt after one that failed; what a
/// killed daemon leaves of earlier attempts is ended in the end.
async fn lives(node: &Node, luck: &Luck, next: &AtomicUsize, pods: usize, failed: &AtomicUsize) {
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        if i >= pods {
            return;
        }
        for attempt in 0.. {
            let builder = node.pod(&format!("p{i}")).with(|config| config.metadata.as_mut().unwrap().attempt = attempt);
            if let Ok(pod) = builder.try_run().await {
                tokio::time::sleep(Duration::from_millis(luck.below(100))).await;
                end(node, pod.id()).await;
                break;
            }
            assert!(attempt < 100, "pod p{i} does not start");
            failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50 + luck.below(200))).await;
        }
    }
}

/// Kills the daemon every second or so, until it is dropped.
async fn kill_at_random(node: &Node, luck: &Luck) {
    loop {
        tokio::time::sleep(Duration::from_millis(200 + luck.below(1800))).await;
        node.kill_and_restart().await;
    }
}

/// Stops and removes a pod, again and again, as kubelet does.
async fn end(node: &Node, id: &str) {
    for _ in 0..PATIENCE {
        match node.cri().clear_pod(id).await {
            Err(status) if status.code() != tonic::Code::NotFound => {}
            _ => return,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("pod {id} does not end");
}

/// Ends the pods that are left.
async fn end_all(node: &Node) {
    for pod in node.cri().list_pods().await.unwrap() {
        end(node, &pod.id).await;
    }
}
