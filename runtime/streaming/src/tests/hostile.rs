// SPDX-License-Identifier: Apache-2.0
//! Peers that violate SPDY: each gets at most GOAWAY(1), and the server serves the next one.

use super::spdy_client::Client;
use super::{eventually, exec, left_nothing, server, shell, soon};
use crate::spdy::ResetReason;
use crate::spdy::frames;
use crate::spdy::headers::Deflater;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GOAWAY: [u8; 4] = [0x80, 3, 0, 7];

/// Sends bytes after the upgrade and returns all bytes that arrive until the end.
async fn answer_to(wire: &[u8]) -> Vec<u8> {
    let (server, backend) = server().await;
    let url = server.exec_url(&exec(&["sleep", "5"], "o")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    let mut answer = Vec::new();
    let (mut read, mut write) = client.socket.split();
    let sent = async {
        let _ = write.write_all(wire).await;
    };
    soon(async { tokio::join!(sent, read.read_to_end(&mut answer)) }).await.1.unwrap();
    drop(client);
    left_nothing(&server, &backend).await;
    answer
}

/// A header block whose zlib stream ends, which is forbidden.
fn finished() -> Vec<u8> {
    let mut zlib = flate2::Compress::new(flate2::Compression::fast(), true);
    let mut block = Vec::with_capacity(64);
    zlib.compress_vec(&[0; 4], &mut block, flate2::FlushCompress::Finish).unwrap();
    block
}

fn control(kind: u16, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[0x80, 3], &kind.to_be_bytes()[..], &[0, a, b, c], payload].concat()
}

#[tokio::test]
async fn every_malformed_frame_ends_in_goaway_with_a_protocol_error() {
    let syn = |block: &[u8]| frames::syn_stream(1, false, block);
    let deflated = |plain: &[u8]| syn(&Deflater::new().deflate(plain));
    let mut version = frames::ping(1);
    version[1] = 2;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("version 2", version),
        ("type 5", control(5, &[0; 4])),
        ("type 10", control(10, &[0; 8])),
        ("type 0xffff", control(0xffff, &[])),
        ("id 0", frames::syn_stream(0, false, &Deflater::new().block(&[]))),
        ("data on 0", frames::data_head(0, false, 0).to_vec()),
        ("ping 0", frames::ping(0)),
        ("short ping", control(6, &[0; 3])),
        ("long ping", control(6, &[1; 5])),
        ("short reset", control(3, &[1; 7])),
        ("long reset", control(3, &[1; 9])),
        ("reset status 0", control(3, &[0, 0, 0, 1, 0, 0, 0, 0])),
        ("short goaway", control(7, &[0; 7])),
        ("window of 9", control(9, &[0; 9])),
        ("long goaway", control(7, &[0; 9])),
        ("window of 7", control(9, &[0; 7])),
        ("short syn", control(1, &[1; 9])),
        ("short reply", control(2, &[1; 3])),
        ("short headers", control(8, &[1; 3])),
        ("short settings", control(4, &[0; 3])),
        ("settings of 9", control(4, &[0; 9])),
        ("dictionary", syn(&hex::decode("78f9e3c6a7c302a6230600000000ffff").unwrap())),
        ("finished block", syn(&finished())),
        ("settings count", control(4, &[0xff; 4])),
        ("too long", frames::data_head(0x8003_0001, false, 0x01_0001).to_vec()),
        ("header count", deflated(&[0xff; 4])),
        ("name length", deflated(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])),
        ("bomb", deflated(&vec![0; 60 << 20])),
        ("garbage", syn(b"garbage garbage")),
        ("no block", syn(b"")),
    ];
    for (name, wire) in cases {
        let answer = answer_to(&wire).await;
        assert_eq!(answer.len(), 16, "{name}: {answer:?}");
        assert_eq!((&answer[..4], &answer[12..]), (&GOAWAY[..], &[0, 0, 0, 1][..]), "{name}");
    }
}

#[tokio::test]
async fn a_protocol_error_in_mid_session_is_told_on_the_error_stream() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["sleep", "5"], "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    client.raw(&control(5, &[])).await;
    assert!(client.status().await.contains("\"status\":\"Failure\""));
    client.rest().await;
    assert_eq!(client.log[client.log.len() - 2..], ["goaway", "eof"]);
}

#[tokio::test]
async fn ids_that_may_not_be_are_reset_and_the_session_goes_on() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["echo", "still here"], "o")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    client.open("error").await;
    client.open("nonsense").await;
    for id in [2u32, 3, 0x8000_0000, 0xffff_ffff] {
        // The block is part of the one zlib stream, so the rest of the test proves that it was inflated.
        let (_, mut frame) = client.session.open(&[("streamtype", "stdout")]);
        frame[8..12].copy_from_slice(&id.to_be_bytes());
        client.raw(&frame).await;
        let mut answer = [0; 16];
        soon(client.socket.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer[..], frames::reset(id, ResetReason::ProtocolError), "{id:x}");
    }
    client.open("stdout").await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(client.text("stdout"), "still here\n");
}

#[tokio::test]
async fn data_before_the_reply_and_headers_without_compression_are_taken() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    let plain = |name: &str| {
        let length = (name.len() as u32).to_be_bytes();
        [&[0, 0, 0, 1, 0, 0, 0, 10][..], b"streamtype", &length, name.as_bytes()].concat()
    };
    let stored = |start: &[u8], plain: &[u8]| {
        let length = plain.len() as u16;
        [start, &[0], &length.to_le_bytes(), &(!length).to_le_bytes(), plain, &[0, 0, 0, 0xff, 0xff]].concat()
    };
    let mut wire = Vec::new();
    for (name, start) in [("error", &[0x78, 1][..]), ("stdin", &[]), ("stdout", &[])] {
        let (id, _) = client.session.open(&[]);
        client.streams.insert(id, Default::default());
        client.names.insert(name.into(), id);
        wire.extend(frames::syn_stream(id, false, &stored(start, &plain(name))));
        if name == "stdin" {
            wire.extend([&frames::data_head(id, true, 5)[..], b"early"].concat());
        }
    }
    for piece in wire.chunks(3) {
        client.raw(piece).await;
    }
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(client.text("stdout"), "early");
}

#[tokio::test]
async fn frames_without_use_are_ignored() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("sleep 0.3; echo ok", "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    let mut wire = Vec::new();
    for _ in 0..1000 {
        wire.extend(control(4, &[0; 4]));
        wire.extend(control(9, &[0, 0, 0, 1, 0, 0, 1, 0]));
        wire.extend(frames::ping(2));
        wire.extend(frames::data_head(99, true, 3));
        wire.extend(b"abc");
        wire.extend(frames::reset(77, ResetReason::Cancel));
    }
    client.raw(&wire).await;
    client.send(stdin, b"", true).await;
    client.raw(&frames::data_head(stdin, true, 4)).await;
    client.raw(b"late").await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(client.text("stdout"), "ok\n");
}

#[tokio::test]
async fn a_data_frame_of_the_largest_length_arrives_whole() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["wc", "-c"], "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    let length = (1 << 24) - 1;
    client.send(stdin, &vec![1; length], true).await;
    client.status().await;
    assert_eq!(client.text("stdout").trim(), length.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_costs_nothing() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("sleep 1; echo alive", "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    let flood: Vec<u8> = (0..100_000u32).flat_map(|n| frames::ping(2 * n + 1)).collect();
    soon(client.raw(&flood)).await;
    assert_eq!(client.status().await, r#"{"status":"Success"}"#);
    assert_eq!(client.text("stdout"), "alive\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refused_streams_from_a_peer_that_does_not_read_ends_the_connection() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["cat", "/dev/zero"], "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let flood: Vec<u8> = (0..50_000).flat_map(|_| client.session.open(&[("streamtype", "x")]).1).collect();
    let _ = soon(client.socket.write_all(&flood)).await;
    let mut rest = vec![0; 1 << 20];
    while soon(client.socket.read(&mut rest)).await.unwrap_or(0) > 0 {}
}

#[tokio::test]
async fn goaway_as_the_first_frame_and_a_cut_at_every_moment_leave_no_process() {
    let (server, backend) = server().await;
    for steps in 0..5 {
        let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
        let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
        match steps {
            0 => client.raw(&frames::goaway(0, 0)).await,
            1 => drop(client.open("error").await),
            2 => client.raw(&[0x80, 3, 0]).await,
            3 => client.open_streams("io").await,
            _ => {
                client.open_streams("io").await;
                let stdin = client.id("stdin");
                client.raw(&frames::data_head(stdin, false, 1000)).await;
            }
        }
        drop(client);
    }
    let exits = || backend.exits.load(std::sync::atomic::Ordering::SeqCst);
    eventually("the two that started have ended", || exits() == 2).await;
    drop(server);
}
