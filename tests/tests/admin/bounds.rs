// SPDX-License-Identifier: Apache-2.0
//! What the listener does not do, and what clients cannot do to it.

use crate::address;
use gorae_proto::cri::VersionRequest;
use gorae_tests::admin::{self, over_tcp};
use gorae_tests::on_a_node;
use gorae_tests::testing::on_a_node_with;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[test]
fn on_a_loopback_address_only_this_machine_is_answered_and_nothing_is_set() {
    on_a_node_with("[admin]\nlisten = \"127.0.0.1:0\"\n", async |node| {
        let address = address(node).await;
        assert!(!node.daemon().admin_socket().exists());
        let ask = async |method: &str, path: &str, host: &str| over_tcp(address, method, path, host).await.unwrap();
        for path in ["/metrics", "/healthz", "/log-level"] {
            assert_eq!(ask("GET", path, &address.to_string()).await.status, 200, "{path}");
            assert_eq!(ask("GET", path, "localhost:9644").await.status, 200, "{path}");
            let rebound = ask("GET", path, "evil.example").await;
            assert_eq!(rebound.status, 403, "{path}: {rebound:?}");
            assert!(!rebound.body.contains("gorae_"), "{rebound:?}");
        }
        for method in ["PUT", "POST"] {
            let refused = ask(method, "/log-level", "localhost").await;
            assert!(refused.status == 403 && refused.body.contains("unix socket"), "{refused:?}");
        }
        for (method, path, status) in [
            ("GET", "/", 404),
            ("GET", "/metrics/", 404),
            ("GET", "/../etc/passwd", 404),
            ("GET", "/debug/pprof", 404),
            ("POST", "/metrics", 405),
            ("DELETE", "/log-level", 405),
            ("PUT", "/healthz", 405),
        ] {
            assert_eq!(ask(method, path, "localhost").await.status, status, "{method} {path}");
        }
    });
}

#[test]
fn slow_and_hostile_clients_of_the_listener_harm_nobody() {
    on_a_node(async |node| {
        let socket = node.daemon().admin_socket();
        let connect = async || UnixStream::connect(&socket).await.unwrap();
        // As many as may be and more, each in the middle of something.
        let mut slow = Vec::new();
        for n in 0..60 {
            let mut client = connect().await;
            let begun: &[u8] = match n % 3 {
                0 => b"",
                1 => b"GET /metrics HTTP/1.1\r\nHost: local",
                _ => b"PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\nde",
            };
            // One that was ended by a later one cannot be written to.
            let _ = client.write_all(begun).await;
            slow.push(client);
        }
        let begun = Instant::now();
        assert_eq!(admin::get(&socket, "/healthz").await.unwrap().status, 200);
        node.cri().runtime().version(VersionRequest::default()).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

        let mut endless = connect().await;
        let _ = endless.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n").await;
        let mut sent = 0_usize;
        while sent < 10 << 20
            && endless.write_all(format!("X-{sent}: {}\r\n", "x".repeat(1000)).as_bytes()).await.is_ok()
        {
            sent += 1000;
        }
        assert!(sent < 1 << 20, "it was let write {sent} bytes of headers");
        for nonsense in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 4096]] {
            let mut client = connect().await;
            let _ = client.write_all(nonsense).await;
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(12), client.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "a client that does not speak HTTP is held");
        }
        // Whoever is slow has gone by then.
        for mut client in slow {
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(15), client.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "a slow client is held");
        }
        assert_eq!(admin::get(&socket, "/metrics").await.unwrap().status, 200);
    });
}
