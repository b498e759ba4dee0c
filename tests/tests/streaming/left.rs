// SPDX-License-Identifier: Apache-2.0
//! What sessions leave: nothing, however they end.

use crate::client::{Client, TRANSPORTS, daemon, ended, load};
use gorae_tests::testing::soon;
use gorae_tests::{Container, on_a_node, on_a_node_for};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

async fn runs(container: &Container, command: &str) -> bool {
    container.sh("ps").await.stdout.lines().any(|line| line.ends_with(command))
}

#[test]
fn a_client_that_is_killed_leaves_no_command_and_no_descriptor() {
    on_a_node(async |node| {
        let container = node.pod("killed").run().await.container("sh").script("sleep 10000").start().await;
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            drop(client.exec(&container, &["true"]).await);
            let [before, ..] = daemon(node);
            for (command, reads) in [("yes", true), ("cat", false)] {
                let mut child = client.spawn("exec", &["-i", container.id(), command]);
                soon("the command runs", async || runs(&container, command).await.then_some(())).await;
                if reads {
                    child.stdout.as_mut().expect("piped").read_exact(&mut [0; 1000]).await.expect("it writes");
                }
                child.kill().await.expect("crictl can be killed");
                soon(&format!("{transport}: {command} has ended with its client"), async || {
                    (!runs(&container, command).await).then_some(())
                })
                .await;
            }
            soon("goraed has closed everything", async || (daemon(node)[0] <= before).then_some(())).await;
        }
    });
}

#[test]
fn a_thousand_sessions_let_nothing_grow() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let container = node.pod("soak").run().await.container("sh").script("sleep 10000").start().await;
        let client = Client::of(node, "websocket");
        let round = async |at_once: usize| {
            let many = (0..at_once).map(|n| client.spawn("exec", &[container.id(), "echo", &n.to_string()]));
            for (n, child) in many.collect::<Vec<_>>().into_iter().enumerate() {
                assert_eq!(ended(child).await.out, format!("{n}\n").as_bytes());
            }
        };
        round(64).await;
        // The threads of blocking calls end when they had nothing to do for a while.
        let quiet = async || {
            let (mut last, begun) = (daemon(node), Instant::now());
            loop {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let now = daemon(node);
                if now[..2] == last[..2] || begun.elapsed() > Duration::from_secs(60) {
                    return now;
                }
                last = now;
            }
        };
        let before = quiet().await;
        for _ in 0..load("GORAE_SESSIONS", 960) / 64 {
            round(64).await;
        }
        let after = quiet().await;
        let grown = after[0] > before[0] || after[1] > before[1] || after[2] > before[2] + 8 * 1024;
        assert!(!grown, "descriptors, threads and kilobytes: {before:?}, then {after:?}");
    });
}
