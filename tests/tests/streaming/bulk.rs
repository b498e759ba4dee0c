// SPDX-License-Identifier: Apache-2.0
//! A gigabyte at a time: it arrives, and goraed holds next to nothing of it. With `--nocapture` it says how fast.

use crate::client::{Client, TRANSPORTS, daemon, ended, load, noise};
use crate::forwarded::{Forwarded, server};
use gorae_tests::{Node, on_a_node_for};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GIGABYTE: u64 = 1 << 30;
/// What goraed may grow by, in kilobytes: the queues of a connection, and what the allocator keeps.
const GROWTH: usize = 16 * 1024;

/// Runs a transfer of so many bytes; panics when goraed grew meanwhile.
async fn flat(node: &Node, what: &str, expected: u64, transfer: impl Future<Output = u64>) {
    let [_, _, before] = daemon(node);
    let begun = Instant::now();
    let mut transfer = std::pin::pin!(transfer);
    let mut most = before;
    let bytes = loop {
        tokio::select! {
            bytes = &mut transfer => break bytes,
            () = tokio::time::sleep(Duration::from_millis(20)) => most = most.max(daemon(node)[2]),
        }
    };
    assert_eq!(bytes, expected, "{what}");
    let speed = bytes as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!("{what}: {speed:.0} MB/s, goraed {before} kB, at most {most} kB");
    assert!(most <= before + GROWTH, "{what}: goraed grew from {before} to {most} kB");
}

#[test]
fn a_gigabyte_of_output_is_not_held() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let container = node.pod("bulk").run().await.container("sh").script("sleep 10000").start().await;
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            flat(node, &format!("exec over {transport}"), GIGABYTE, async {
                let words = [container.id(), "head", "-c", "1073741824", "/dev/zero"];
                let mut child = client.spawn("exec", &words);
                let mut from = child.stdout.take().expect("piped");
                let (mut bytes, mut part) = (0, vec![0; 1 << 20]);
                while let read @ 1.. = from.read(&mut part).await.expect("a pipe can be read") {
                    bytes += read as u64;
                }
                assert_eq!(ended(child).await.code, 0);
                bytes
            })
            .await;
        }
    });
}

/// A block that is like no other: noise behind its number.
fn block(noise: &[u8], number: u64) -> Vec<u8> {
    [&number.to_le_bytes()[..], &noise[8..]].concat()
}

#[test]
fn bytes_that_go_both_ways_at_once_come_back_as_they_went() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let container = node.pod("both").run().await.container("sh").script("sleep 10000").start().await;
        let blocks = load("GORAE_ECHO_MEGABYTES", 256) as u64;
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            flat(node, &format!("both ways at once over {transport}"), blocks << 20, async {
                let mut child = client.spawn("exec", &["-i", container.id(), "cat"]);
                let (mut to, mut from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
                let noise = noise(1 << 20);
                let write = async {
                    for number in 0..blocks {
                        to.write_all(&block(&noise, number)).await.expect("the command reads");
                    }
                    drop(to);
                };
                let read = async {
                    let mut part = vec![0; 1 << 20];
                    for number in 0..blocks {
                        from.read_exact(&mut part).await.expect("the command writes");
                        assert!(part == block(&noise, number), "{transport}: other bytes in megabyte {number}");
                    }
                    from.read(&mut part).await.expect("a pipe can be read") as u64
                };
                let ((), more) = tokio::join!(write, read);
                let ran = ended(child).await;
                assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{transport}");
                (blocks << 20) + more
            })
            .await;
        }
    });
}

#[test]
fn a_gigabyte_through_a_forwarded_port_is_not_held() {
    on_a_node_for(Duration::from_secs(600), async |node| {
        let pod = node.pod("bulk").host_network().run().await;
        let down = server("127.0.0.1:0", |mut stream| {
            let block = vec![7; 1 << 20];
            (0..GIGABYTE >> 20).for_each(|_| stream.write_all(&block).expect("the client reads"));
        });
        let up = server("127.0.0.1:0", |mut stream| {
            let bytes = std::io::copy(&mut stream, &mut std::io::sink()).expect("the client writes");
            write!(stream, "{bytes}").expect("the way back is open");
        });
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            let forwarded = Forwarded::start(&client, &pod, down).await;
            let read = forwarded.talk(|mut stream| std::io::copy(&mut stream, &mut std::io::sink()).expect("it comes"));
            flat(node, &format!("port-forward down over {transport}"), GIGABYTE, read).await;
            let forwarded = Forwarded::start(&client, &pod, up).await;
            let written = forwarded.talk(|mut stream| {
                let block = vec![7; 1 << 20];
                (0..GIGABYTE >> 20).for_each(|_| stream.write_all(&block).expect("the server reads"));
                stream.shutdown(std::net::Shutdown::Write).expect("the way is open");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("the answer comes");
                answer.parse().expect("a number")
            });
            flat(node, &format!("port-forward up over {transport}"), GIGABYTE, written).await;
        }
    });
}
