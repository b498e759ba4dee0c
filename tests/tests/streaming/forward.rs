// SPDX-License-Identifier: Apache-2.0
//! Port-forward: into a pod's network namespace, and to servers of the node through a pod on the host's network.

use crate::client::{Client, TRANSPORTS, noise};
use crate::forwarded::{Forwarded, ask, echo, server};
use gorae_tests::{Node, Pod, on_a_node, on_a_node_for, web};
use std::io::{Read, Write};
use std::time::Duration;

async fn host_pod(node: &Node) -> Pod {
    node.pod("host").host_network().run().await
}

#[test]
fn a_web_server_in_a_pod_answers_two_hundred_at_once() {
    on_a_node(async |node| {
        let pod = node.pod("web").run().await;
        let script = "mkdir /www; echo page >/www/index.html; exec httpd -f -h /www -p 127.0.0.1:8000";
        let _web = pod.container("web").script(script).start().await;
        for transport in TRANSPORTS {
            let forwarded = Forwarded::start(&Client::of(node, transport), &pod, 8000).await;
            assert_eq!(web::get_soon(&forwarded.local, "/").await, (200, "page\n".to_owned()));
            for _ in 0..3 {
                let gets = (0..200).map(|_| web::get_soon(&forwarded.local, "/"));
                for answer in futures_util::future::join_all(gets).await {
                    assert_eq!(answer, (200, "page\n".to_owned()), "{transport}");
                }
            }
        }
    });
}

#[test]
fn megabytes_go_both_ways_as_they_are() {
    on_a_node_for(Duration::from_secs(300), async |node| {
        let (pod, port) = (host_pod(node).await, server("127.0.0.1:0", echo));
        for transport in TRANSPORTS {
            let forwarded = Forwarded::start(&Client::of(node, transport), &pod, port).await;
            let same = forwarded.talk(|stream| {
                let all = noise(32 << 20);
                ask(stream, &all) == all
            });
            assert!(same.await, "{transport}");
        }
    });
}

#[test]
fn half_a_close_leaves_the_answer_ten_seconds() {
    on_a_node(async |node| {
        let pod = host_pod(node).await;
        let port = server("127.0.0.1:0", |mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("the question comes");
            std::thread::sleep(Duration::from_secs(10));
            write!(stream, "{} bytes", all.len()).expect("the way is still open");
        });
        for transport in TRANSPORTS {
            let forwarded = Forwarded::start(&Client::of(node, transport), &pod, port).await;
            let answer = forwarded.talk(|stream| ask(stream, &[1; 100_000])).await;
            assert_eq!(answer, b"100000 bytes", "{transport}");
        }
    });
}

#[test]
fn refused_and_reset_connections_end_alone() {
    on_a_node(async |node| {
        let pod = host_pod(node).await;
        // The connection is reset when the server closes it with a byte unread.
        let port = server("127.0.0.1:0", |mut stream| {
            let mut first = [0];
            stream.read_exact(&mut first).expect("a byte comes");
            if first == *b"r" {
                stream.peek(&mut first).expect("another byte comes");
            } else {
                echo(stream);
            }
        });
        for transport in TRANSPORTS {
            let client = Client::of(node, transport);
            let forwarded = Forwarded::start(&client, &pod, port).await;
            for _ in 0..3 {
                assert_eq!(forwarded.talk(|stream| ask(stream, b"r and more")).await, b"", "{transport}");
                assert_eq!(forwarded.talk(|stream| ask(stream, b"echo")).await, b"cho", "{transport}");
            }
            let nobody = Forwarded::start(&client, &pod, 9).await;
            assert_eq!(nobody.talk(|stream| ask(stream, b"")).await, b"", "{transport}");
        }
    });
}

#[test]
fn a_server_on_ipv6_only_is_reached() {
    on_a_node(async |node| {
        let (pod, port) = (host_pod(node).await, server("[::1]:0", echo));
        for transport in TRANSPORTS {
            let forwarded = Forwarded::start(&Client::of(node, transport), &pod, port).await;
            assert_eq!(forwarded.talk(|stream| ask(stream, b"six")).await, b"six", "{transport}");
        }
    });
}
