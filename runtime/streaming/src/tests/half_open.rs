// SPDX-License-Identifier: Apache-2.0
//! Peers that vanish silently: they send neither an end nor a reset, and no longer respond.

use super::forward_spdy::{application, url};
use super::spdy_client::Client;
use super::{eventually, exec, server_with, shell, vanish, websocket_client};
use crate::{Config, Server};
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Short, but with seconds between the kernel's probes.
const SILENCE: Duration = Duration::from_secs(4);

fn config() -> Config {
    Config { silence: SILENCE, drain: Duration::from_millis(300), ..Config::default() }
}

async fn spdy(server: &Server, command: &[&str], flags: &str) -> Client {
    Client::exec(&server.exec_url(&exec(command, flags)).unwrap(), flags).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_clients_that_vanish_end_whatever_they_are_doing() {
    static FORWARDED: AtomicUsize = AtomicUsize::new(0);
    let (server, backend) = server_with(config()).await;

    let idle = spdy(&server, &["cat"], "io").await;
    let mut talking = spdy(&server, &["sh", "-c", "while echo x; do sleep 0.1; done"], "o").await;
    talking.until(|client| client.seen("stdout").length > 0).await;
    let full = spdy(&server, &["cat", "/dev/zero"], "o").await;
    // More than the server accepts for a process that does not read, so that the server stops reading.
    let mut unread = spdy(&server, &["sleep", "600"], "i").await;
    let stdin = unread.id("stdin");
    super::soon(unread.send(stdin, &vec![0; 1_500_000], false)).await;
    let terminal = spdy(&server, &["cat"], "iot").await;
    let websocket_url = server.exec_url(&shell("while echo x; do sleep 0.1; done", "o")).unwrap();
    let mut websocket = websocket_client::Client::upgrade(&websocket_url, "v5.channel.k8s.io").await;
    websocket.until(|client| !client.channel(1).is_empty()).await;
    let port = application("127.0.0.1:0", |mut stream| {
        FORWARDED.fetch_add(1, Ordering::SeqCst);
        let _ = stream.read_to_end(&mut Vec::new());
        FORWARDED.fetch_sub(1, Ordering::SeqCst);
    });
    let mut forward = Client::upgrade(&url(&server, vec![]), "portforward.k8s.io").await;
    for kind in ["error", "data"] {
        forward.open_with(&[("streamtype", kind), ("port", &port.to_string()), ("requestid", "0")]).await;
    }
    eventually("the port is reached", || FORWARDED.load(Ordering::SeqCst) == 1).await;
    assert_eq!((server.connections(), backend.left().len() >= 6), (7, true));

    for client in [&idle, &talking, &full, &unread, &terminal, &forward] {
        vanish(&client.socket);
    }
    vanish(&websocket.socket);
    let begun = Instant::now();
    // One process neither reads nor writes: it cannot notice that its client is gone.
    while server.connections() > 0 || backend.left().len() > 1 || FORWARDED.load(Ordering::SeqCst) > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{} sessions and {:?} go on without their clients",
            server.connections(),
            backend.left()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_only_stands_still_keeps_its_session_and_every_byte() {
    let (server, _) = server_with(config()).await;
    let mut client = spdy(&server, &["seq", "1", "2000000"], "o").await;
    tokio::time::sleep(2 * SILENCE).await;
    client.window = 1 << 20;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    let expected: String = (1..=2_000_000).map(|n| format!("{n}\n")).collect();
    assert!(client.text("stdout") == expected);
}
