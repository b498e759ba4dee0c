// SPDX-License-Identifier: Apache-2.0
//! The same pod hundreds of times, and thousands of times in `make soak`: nothing may grow.

use gorae_tests::leaks::Snapshot;
use gorae_tests::{Node, TINY, memory, on_a_node_for, rounds};
use std::time::Duration;

const CYCLES: usize = 300;
/// Cycles before the first measurement: buffers and thread stacks reach their size.
const WARM: usize = 100;
/// Most that the daemon may grow over all cycles, in kB.
const GROWTH: u64 = 2048;

/// What the daemon holds, in kB, once its allocator has given back unused memory, which takes ten seconds.
async fn settled(daemon: u32) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        least = least.min(memory::pss_kb(daemon).expect("goraed runs"));
    }
    least
}

async fn cycle(node: &Node, i: usize) {
    let pod = node.pod(&format!("cycle-{}", i % 7)).port(13_000, 80).run().await;
    let container = pod.container("c").image(TINY).args(["count", "3", "7"]).start().await;
    assert_eq!(container.ended().await.exit_code, 7);
    assert_eq!(container.stdout(), ["line 1", "line 2", "line 3"]);
    std::fs::remove_file(container.log_file()).expect("the file is removed");
    pod.stop().await;
    pod.remove().await;
}

#[test]
fn hundreds_of_pods_leave_no_trace_and_the_daemon_does_not_grow() {
    let (warm, cycles) = (rounds(WARM), rounds(CYCLES));
    on_a_node_for(Duration::from_secs(300 + cycles as u64 * 3 / 5), async |node| {
        for i in 0..warm {
            cycle(node, i).await;
        }
        let daemon = node.daemon().pid().expect("goraed runs");
        let (before, things) = (settled(daemon).await, Snapshot::take(&[]));
        for i in 0..cycles {
            cycle(node, i).await;
        }
        let after = settled(daemon).await;
        println!("goraed: {before} kB after {warm} cycles, {after} kB after {cycles} more");
        assert!(after < before + GROWTH, "goraed grew from {before} kB to {after} kB");
        for kind in ["mount", "link", "cgroup", "nft"] {
            let now = Snapshot::take(&[]);
            assert!(
                now.count(kind) <= things.count(kind) + 2,
                "{kind}: {} after {}",
                now.count(kind),
                things.count(kind)
            );
        }
    });
}
