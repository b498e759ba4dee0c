// SPDX-License-Identifier: Apache-2.0
//! Exec without a terminal.

use crate::client::{Client, TRANSPORTS, ended, load, noise};
use futures_util::future::join_all;
use gorae_tests::{Container, Node, on_a_node, on_a_node_for};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::Child;

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

/// Reads what a command writes, at most 64 KiB each twentieth of a second, and compares it on the way.
async fn read_slowly(mut child: Child, expected: &[u8]) {
    let mut from = child.stdout.take().expect("piped");
    let (mut at, mut part) = (0, vec![0; 64 * 1024]);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let read = from.read(&mut part).await.expect("a pipe can be read");
        if read == 0 {
            break;
        }
        assert!(expected.get(at..at + read) == Some(&part[..read]), "other bytes after {at}");
        at += read;
    }
    assert_eq!(at, expected.len(), "the tail is lost");
    assert_eq!(ended(child).await.code, 0);
}

#[test]
fn slow_readers_get_every_byte() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let container = shell(node).await;
        let last = load("GORAE_LINES", 1_000_000);
        let expected: String = (1..=last).map(|n| format!("{n}\n")).collect();
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            let words = [container.id(), "seq", "1", &last.to_string()];
            let readers = (0..load("GORAE_READERS", 3)).map(|_| client.spawn("exec", &words));
            let readers: Vec<Child> = readers.collect();
            let begun = Instant::now();
            let count = readers.len();
            join_all(readers.into_iter().map(|child| read_slowly(child, expected.as_bytes()))).await;
            println!("{count} readers of {} bytes over {transport}: {:.1?}", expected.len(), begun.elapsed());
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
