// SPDX-License-Identifier: Apache-2.0
//! The shutdown of the server.

use super::forward_spdy::{application, echoes, url};
use super::spdy_client::Client;
use super::{exec, server, websocket_client};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_shutdown_tells_every_session_and_is_over_within_a_second() {
    let (server, _) = server().await;
    let mut spdy = Client::exec(&server.exec_url(&exec(&["sleep", "60"], "o")).unwrap(), "o").await;
    let websocket_url = server.exec_url(&exec(&["sleep", "60"], "o")).unwrap();
    let mut websocket = websocket_client::Client::upgrade(&websocket_url, "v5.channel.k8s.io").await;
    let stuck_url = server.exec_url(&exec(&["cat", "/dev/zero"], "o")).unwrap();
    let _stuck = Client::exec(&stuck_url, "o").await;
    let _half = Client::upgrade(&server.exec_url(&exec(&["true"], "o")).unwrap(), "v4.channel.k8s.io").await;
    let port = application("127.0.0.1:0", echoes).to_string();
    let mut forward = Client::upgrade(&url(&server, vec![]), "portforward.k8s.io").await;
    for kind in ["error", "data"] {
        forward.open_with(&[("streamtype", kind), ("port", &port), ("requestid", "0")]).await;
    }
    let begun = Instant::now();
    server.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(server.connections(), 0);
    assert!(spdy.status().await.contains("shutting down"));
    websocket.until(|client| client.closed == Some(1000)).await;
    assert!(websocket.text(3).contains("shutting down"));
    forward.rest().await;
    assert!(tokio::net::TcpStream::connect(server.address()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_a_session_that_cannot_be_dropped() {
    let (server, backend) = server().await;
    let mut client = Client::upgrade(&server.exec_url(&exec(&["block"], "o")).unwrap(), "v4.channel.k8s.io").await;
    // This does not wait for replies or timers of the runtime: the blocked thread may be the one that handles them.
    for name in ["error", "stdout"] {
        client.syn(&[("streamtype", name)]).await;
    }
    let begun = Instant::now();
    while backend.execs.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the command is not asked for");
        std::thread::sleep(Duration::from_millis(1));
    }
    let begun = Instant::now();
    server.shutdown().await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_millis(3500)).contains(&took), "{took:?}");
    assert_eq!(server.connections(), 1, "it is given up");
}
