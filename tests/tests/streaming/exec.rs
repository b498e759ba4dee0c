// SPDX-License-Identifier: Apache-2.0
//! Exec without a terminal.

use crate::client::{Client, TRANSPORTS, ended, load, noise};
use gorae_tests::{Container, Node, on_a_node, on_a_node_for};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

async fn shell(node: &Node) -> Container {
    node.pod("exec").run().await.container("sh").script("sleep 10000").start().await
}

#[test]
fn exit_codes_and_both_outputs_come_back() {
    on_a_node(async |node| {
        let container = shell(node).await;
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            assert_eq!(client.exec(&container, &["true"]).await.code, 0);
            for (script, told) in
                [("exit 1", "exit code 1"), ("exit 42", "exit code 42"), ("kill -9 $$", "exit code 137")]
            {
                let ran = client.exec(&container, &["sh", "-c", script]).await;
                assert!(ran.code != 0 && ran.err.contains(told), "{transport} {script}: {ran:?}");
            }
            let ran = client.exec(&container, &["sh", "-c", "echo out; echo err >&2"]).await;
            assert_eq!((ran.out.as_slice(), ran.err.as_str()), (&b"out\n"[..], "err\n"), "{transport}");
            let ran = client.exec(&container, &["no-such-program"]).await;
            assert!(ran.code != 0 && ran.err.contains("no-such-program"), "{transport}: {ran:?}");
        }
    });
}

#[test]
fn a_slow_reader_gets_every_byte() {
    on_a_node_for(Duration::from_secs(300), async |node| {
        let container = shell(node).await;
        let expected: String = (1..=1_000_000).map(|n| format!("{n}\n")).collect();
        for transport in TRANSPORTS {
            for _ in 0..3 {
                let client = Client::of(node, transport);
                let mut child = client.spawn("exec", &[container.id(), "seq", "1", "1000000"]);
                let mut from = child.stdout.take().expect("piped");
                let (mut all, mut part) = (Vec::new(), vec![0; 1 << 20]);
                loop {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    match from.read(&mut part).await.expect("a pipe can be read") {
                        0 => break,
                        read => all.extend_from_slice(&part[..read]),
                    }
                }
                assert!(all == expected.as_bytes(), "{transport}: {} of {} bytes", all.len(), expected.len());
                assert_eq!(ended(child).await.code, 0);
            }
        }
    });
}

#[test]
fn bytes_go_in_and_come_out_as_they_are() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let container = shell(node).await;
        let all = noise(load("GORAE_MEGABYTES", 20) << 20);
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            for script in ["cat >/tmp/f", "dd of=/tmp/f 2>/dev/null"] {
                let ran = client.exec_fed(&container, &["sh", "-c", script], &all).await;
                assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{transport} {script}");
                let out = client.exec(&container, &["cat", "/tmp/f"]).await.out;
                assert!(out == all, "{transport} {script}: {} of {} bytes", out.len(), all.len());
            }
            let both = client.exec_fed(&container, &["cat"], &all).await.out;
            assert!(both == all, "{transport}, both ways at once: {} of {} bytes", both.len(), all.len());
        }
    });
}

#[test]
fn the_end_of_input_ends_a_command_and_a_child_in_the_background_holds_nothing() {
    on_a_node(async |node| {
        let container = shell(node).await;
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            let ran = client.exec_fed(&container, &["cat"], b"x\n").await;
            assert_eq!((ran.code, ran.out.as_slice()), (0, &b"x\n"[..]), "{transport}");
            let begun = Instant::now();
            assert_eq!(client.sh(&container, "sleep 1000 & echo hi").await, "hi\n");
            assert!(begun.elapsed() < Duration::from_secs(20), "{transport}: {:?}", begun.elapsed());
            container.sh("pkill sleep -f 'sleep 1000'; true").await;
        }
    });
}
