// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over SPDY, against real TCP servers on loopback.

use super::spdy_client::Client;
use super::{eventually, server, soon};
use crate::Server;
use crate::spdy::{ResetReason, frames};
use gorae_proto::cri::PortForwardRequest;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(super) fn url(server: &Server, port: Vec<i32>) -> String {
    server.port_forward_url(&PortForwardRequest { pod_sandbox_id: "sandbox".into(), port }).unwrap()
}

/// Serves each connection to a fresh port with the function, on threads that end with the test process.
pub(super) fn application(address: &str, serve: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

/// Reads to the end, waits, and then replies with the number of bytes.
pub(super) fn counts_and_answers_late(mut stream: TcpStream) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    write!(stream, "{} bytes", all.len()).unwrap();
}

fn answers_the_first_byte_and_closes(mut stream: TcpStream) {
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    stream.write_all(b"part").unwrap();
}

pub(super) fn echoes(mut stream: TcpStream) {
    let mut reader = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut reader, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
}

async fn connect(server: &Server) -> Client {
    Client::upgrade(&url(server, vec![]), "portforward.k8s.io").await
}

async fn open(client: &mut Client, port: u16, request: &str) -> (u32, u32) {
    let port = port.to_string();
    let headers = |kind| [("streamType", kind), ("port", port.as_str()), ("requestID", request)];
    let error = client.open_with(&headers("error")).await;
    client.send(error, b"", true).await;
    let data = client.open_with(&headers("data")).await;
    (error, data)
}

#[tokio::test]
async fn half_close_leaves_the_answer_all_the_time_it_needs() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", counts_and_answers_late);
    let mut client = connect(&server).await;
    let (error, data) = open(&mut client, port, "0").await;
    client.send(data, &[1; 200_000], false).await;
    client.send(data, b"", true).await;
    client.until(|client| client.streams[&data].finished && client.streams[&error].finished).await;
    assert_eq!(client.streams[&data].data, b"200000 bytes");
    assert!(client.streams[&error].data.is_empty());
}

#[tokio::test]
async fn an_application_on_ipv6_only_is_reached() {
    let (server, _) = server().await;
    let port = application("[::1]:0", echoes);
    let mut client = connect(&server).await;
    let (_, data) = open(&mut client, port, "0").await;
    client.send(data, b"six", true).await;
    client.until(|client| client.streams[&data].finished).await;
    assert_eq!(client.streams[&data].data, b"six");
}

#[tokio::test]
async fn a_refused_connection_is_told_and_the_session_goes_on() {
    let (server, _) = server().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut client = connect(&server).await;
    let (error, data) = open(&mut client, free, "0").await;
    client.until(|client| client.streams[&error].finished && client.streams[&data].reset).await;
    let told = String::from_utf8_lossy(&client.streams[&error].data).into_owned();
    assert!(told.starts_with(&format!("error forwarding port {free} to pod sandbox, uid : ")), "{told}");
    let port = application("127.0.0.1:0", echoes);
    let (_, data) = open(&mut client, port, "0").await;
    client.send(data, b"again", true).await;
    client.until(|client| client.streams[&data].finished).await;
    assert_eq!(client.streams[&data].data, b"again", "the key is free again");
}

#[tokio::test]
async fn a_connection_that_the_application_resets_writes_no_error() {
    let (server, _) = server().await;
    // Closing with unread input makes the kernel send a reset.
    let port = application("127.0.0.1:0", answers_the_first_byte_and_closes);
    let mut client = connect(&server).await;
    let (error, data) = open(&mut client, port, "0").await;
    client.send(data, &[0; 100_000], false).await;
    client.until(|client| client.streams[&error].finished).await;
    assert!(client.streams[&error].data.is_empty());
    assert!(client.streams[&data].reset || client.streams[&data].finished);
    open(&mut client, port, "2").await;
}

#[tokio::test]
async fn a_connection_that_the_application_closed_ends_when_the_client_writes_on() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", answers_the_first_byte_and_closes);
    let mut client = connect(&server).await;
    let (error, data) = open(&mut client, port, "0").await;
    client.send(data, b"1", false).await;
    client.until(|client| client.streams[&data].finished).await;
    assert_eq!(client.streams[&data].data, b"part");
    // The first write after the end is answered by a reset, the next one is an error.
    let begin = Instant::now();
    while !client.streams[&error].finished && begin.elapsed() < Duration::from_secs(20) {
        client.send(data, b"more", false).await;
        let _ = tokio::time::timeout(Duration::from_millis(50), client.pump()).await;
    }
    assert!(client.streams[&error].finished && client.streams[&error].data.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_run_in_parallel() {
    let (server, backend) = server().await;
    let port = application("127.0.0.1:0", echoes);
    let mut client = connect(&server).await;
    let mut all = Vec::new();
    for n in 0..200 {
        all.push((open(&mut client, port, &n.to_string()).await, format!("connection {n} ").repeat(100)));
    }
    for ((_, data), text) in &all {
        client.send(*data, text.as_bytes(), true).await;
    }
    client.until(|client| all.iter().all(|((error, _), _)| client.streams[error].finished)).await;
    for ((_, data), text) in &all {
        assert_eq!(client.streams[data].data, text.as_bytes());
    }
    assert_eq!(backend.dials.load(Ordering::SeqCst), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn megabytes_go_down_and_up_byte_for_byte() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", |mut stream| {
        let block: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        for _ in 0..30 {
            stream.write_all(&block).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        counts_and_answers_late(stream);
    });
    let mut client = connect(&server).await;
    let (_, data) = open(&mut client, port, "0").await;
    client.until(|client| client.streams[&data].finished).await;
    let seen = &client.streams[&data].data;
    assert_eq!(seen.len(), 30_000_000);
    assert!(seen.chunks(1_000_000).all(|block| block.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8)));
}

#[tokio::test]
async fn an_application_that_does_not_read_blocks_only_itself() {
    let (server, _) = server().await;
    let deaf = application("127.0.0.1:0", |_stream| std::thread::sleep(Duration::from_secs(60)));
    let port = application("127.0.0.1:0", echoes);
    let mut client = connect(&server).await;
    let (_, stuck) = open(&mut client, deaf, "0").await;
    // Less than an inlet and the kernel hold together, so the reader continues.
    client.send(stuck, &[0; 900_000], false).await;
    let (_, data) = open(&mut client, port, "2").await;
    client.send(data, b"alive", true).await;
    client.until(|client| client.streams[&data].finished).await;
    assert_eq!(client.streams[&data].data, b"alive");
    client.raw(&frames::reset(stuck, ResetReason::Cancel)).await;
}

#[tokio::test]
async fn bad_ports_and_kinds_are_reset_without_a_reply() {
    let (server, _) = server().await;
    let mut client = connect(&server).await;
    for headers in [
        &[("streamtype", "error"), ("port", "0"), ("requestid", "0")][..],
        &[("streamtype", "error"), ("port", "65536"), ("requestid", "0")],
        &[("streamtype", "error"), ("port", "+80"), ("requestid", "0")],
        &[("streamtype", "error"), ("requestid", "0")],
        &[("streamtype", "stdin"), ("port", "80"), ("requestid", "0")],
        &[("port", "80"), ("requestid", "0")],
        &[("streamtype", "error"), ("port", "80"), ("requestid", &"9".repeat(129))],
    ] {
        let id = client.open_with(headers).await;
        assert!(client.streams[&id].reset && !client.streams[&id].replied, "{headers:?}");
    }
}

#[tokio::test]
async fn very_old_clients_send_no_request_id() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", echoes).to_string();
    let mut client = connect(&server).await;
    let error = client.open_with(&[("streamtype", "error"), ("port", &port)]).await;
    let data = client.open_with(&[("streamtype", "data"), ("port", &port)]).await;
    assert_eq!(data, error + 2);
    client.send(data, b"old", true).await;
    client.until(|client| client.streams[&data].finished).await;
    assert_eq!(client.streams[&data].data, b"old");
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_is_given_up_after_thirty_seconds() {
    let (server, _) = server().await;
    let mut client = connect(&server).await;
    let error = client.open_with(&[("streamtype", "error"), ("port", "80"), ("requestid", "0")]).await;
    tokio::time::advance(Duration::from_secs(31)).await;
    client.until(|client| client.streams[&error].reset).await;
    assert!(!client.streams[&error].data.is_empty());
}

#[tokio::test]
async fn a_second_stream_of_a_kind_is_told_on_the_error_stream() {
    let (server, _) = server().await;
    let mut client = connect(&server).await;
    let headers = [("streamtype", "error"), ("port", "80"), ("requestid", "0")];
    let error = client.open_with(&headers).await;
    let second = client.open_with(&headers).await;
    client.until(|client| client.streams[&second].reset).await;
    client.until(|client| !client.streams[&error].data.is_empty()).await;
}

#[tokio::test]
async fn a_client_that_leaves_closes_every_connection() {
    use std::sync::atomic::AtomicUsize;
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", |mut stream| {
        OPEN.fetch_add(1, Ordering::SeqCst);
        let _ = stream.read_to_end(&mut Vec::new());
        OPEN.fetch_sub(1, Ordering::SeqCst);
    });
    let mut client = connect(&server).await;
    for n in 0..5 {
        open(&mut client, port, &n.to_string()).await;
    }
    eventually("five are open", || OPEN.load(Ordering::SeqCst) == 5).await;
    drop(client);
    eventually("all are closed", || OPEN.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_reset_data_stream_closes_its_connection_only() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", echoes);
    let mut client = connect(&server).await;
    let (first_error, first) = open(&mut client, port, "0").await;
    let (_, second) = open(&mut client, port, "2").await;
    client.raw(&frames::reset(first, ResetReason::Cancel)).await;
    client.until(|client| client.streams[&first_error].finished).await;
    client.send(second, b"still", true).await;
    client.until(|client| client.streams[&second].finished).await;
    assert_eq!(client.streams[&second].data, b"still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_one_after_another() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", drop);
    let mut client = connect(&server).await;
    let rounds = if cfg!(debug_assertions) { 1000 } else { 10_000 };
    for n in 0..rounds {
        let (error, data) = open(&mut client, port, &n.to_string()).await;
        client.until(|client| client.streams[&data].finished).await;
        client.send(data, b"", true).await;
        soon(client.until(|client| client.streams[&error].finished)).await;
        assert!(client.streams[&error].data.is_empty());
    }
}
