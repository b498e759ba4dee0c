// SPDX-License-Identifier: Apache-2.0
//! Short connections through one host port while other pods open and close theirs.

use super::stage::{NODE, as_node, bridged, inside, open, pod, serve, sh, tcp};
use gorae_network::{Mapper, Network};
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many connections are made. A longer run: `GORAE_TEST_CONNECTIONS=10000`.
fn connections() -> usize {
    std::env::var("GORAE_TEST_CONNECTIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(1000)
}

/// Connects one after the other, that often and until the others are done; counts the connections, and those answered in time.
fn dial(from: &'static str, port: u16, done: Arc<AtomicBool>) -> std::thread::JoinHandle<(usize, usize)> {
    let once = move || {
        let mut answer = String::new();
        TcpStream::connect((NODE, port)).and_then(|mut stream| stream.read_to_string(&mut answer)).is_ok_and(|n| n > 0)
    };
    let all = move || {
        let (mut made, mut answered) = (0, 0);
        while made < connections() || !done.load(Ordering::Relaxed) {
            made += 1;
            let begun = Instant::now();
            // A first packet that is lost is sent again after a second.
            answered += usize::from(once() && begun.elapsed() < Duration::from_millis(900));
        }
        (made, answered)
    };
    std::thread::spawn(move || if from.is_empty() { all() } else { inside(from, all) })
}

/// Opens and closes host ports of other pods. Now and then an element of theirs is missing, so that the whole table is
/// written anew.
async fn churn(network: &Network, table: &str, rounds: usize) {
    for round in 0..rounds {
        let mappings = [tcp("", 12510, 80), tcp("127.0.0.1", 12511, 80)];
        network.reserve_ports("other", &mappings, Mapper::Gorae).await.expect("reserved");
        network.publish_at("other", &["10.22.0.77".parse().expect("address")]).await.expect("published");
        network.prepare("another", &[tcp("", 12512, 80)]).await.expect("prepared");
        network.publish("another").await.expect("published");
        if round % 3 == 0 {
            sh(&format!("nft delete element inet {table} ports4 '{{ tcp . 12510 }}'"));
        }
        for id in ["other", "another"] {
            network.withdraw(id).await.expect("withdrawn");
            network.release(id);
        }
    }
}

#[test]
fn no_connection_is_lost_while_other_pods_publish_and_withdraw() {
    as_node("load::no_connection_is_lost_while_other_pods_publish_and_withdraw", async |root| {
        let network = open(root, &[]).await;
        let plan = pod(&network, "a", &[tcp("", 12500, 80)]).await;
        network.reserve_ports("c", &[tcp("", 12501, 80)], Mapper::Gorae).await.expect("reserved");
        network.publish_at("c", &bridged("c", 2)).await.expect("published");
        for id in ["a", "c"] {
            serve(id, "0.0.0.0:80");
        }
        let done = Arc::new(AtomicBool::new(false));
        let dialling = [("outside", 12500), ("outside", 12501), ("", 12500), ("c", 12500)]
            .map(|(from, port)| dial(from, port, done.clone()));
        churn(&network, &plan.network.bridge, 15).await;
        done.store(true, Ordering::Relaxed);
        let counted = tokio::task::spawn_blocking(|| dialling.map(|each| each.join().expect("no panic")));
        for (made, answered) in counted.await.expect("no panic") {
            assert_eq!(answered, made);
        }
    });
}
