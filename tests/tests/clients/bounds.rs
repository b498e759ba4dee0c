// SPDX-License-Identifier: Apache-2.0
//! What clients can take of the daemon's memory, and that it comes back.

use gorae_proto::cri::{GetEventsRequest, VersionRequest};
use gorae_tests::images::layer::{Packing, Writer};
use gorae_tests::images::push::{Form, Image};
use gorae_tests::testing::on_a_node_with_an_empty_registry;
use gorae_tests::{Cri, Node, memory, on_a_node};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::body::Body;

/// How long memory that is not needed any more may stay.
const COMES_BACK: Duration = Duration::from_secs(30);
/// What may stay for good, in kB: threads, tables and buffers that have reached their size.
const STAYS: u64 = 16 << 10;

fn pid(node: &Node) -> u32 {
    node.daemon().pid().expect("goraed runs")
}

fn resident(node: &Node) -> u64 {
    memory::pss_kb(pid(node)).expect("goraed runs")
}

/// Waits until the daemon is about as large as it was; panics when that takes too long.
async fn comes_back(node: &Node, before: u64, after: &str) {
    let (peak, at_once, begun) = (memory::peak_kb(pid(node)).expect("goraed runs"), resident(node), Instant::now());
    let mut now = at_once;
    while now > before + STAYS && begun.elapsed() < COMES_BACK {
        tokio::time::sleep(Duration::from_millis(250)).await;
        now = resident(node);
    }
    let took = begun.elapsed().as_secs();
    println!("{after}: {before} kB before, {peak} kB at most, {at_once} kB at its end, {now} kB {took} s later");
    assert!(now <= before + STAYS, "{after}: {before} kB before, {now} kB {took} s later");
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers of a call, all plain and none kept.
fn headers(path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")][..], text.as_bytes()].concat();
    let more = [text("te"), text("trailers"), vec![0], text("content-type"), text("application/grpc")].concat();
    [&[0x83, 0x86, 0x04][..], &text(path), &[0], &more].concat()
}

/// A connection that writes raw frames and reads whatever comes.
async fn raw(node: &Node) -> UnixStream {
    let mut stream = UnixStream::connect(node.daemon().socket()).await.expect("connected");
    let greeting = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    stream.write_all(&greeting).await.expect("it reads");
    stream
}

/// Writes for a while and reads at the same time, until there is nothing more to read.
async fn write(stream: &mut UnixStream, bytes: &[u8]) {
    let (mut reader, mut writer) = stream.split();
    let mut answers = vec![0; 64 << 10];
    let writing = writer.write_all(bytes);
    tokio::pin!(writing);
    let mut written = false;
    loop {
        tokio::select! {
            // A connection that was ended accepts no more writes; the caller checks for that.
            _ = &mut writing, if !written => written = true,
            read = tokio::time::timeout(Duration::from_millis(500), reader.read(&mut answers)) => match read {
                Ok(Ok(1..)) => {}
                _ if written => return,
                Ok(_) => return,
                Err(_) => {}
            },
        }
    }
}

#[test]
fn ten_thousand_open_streams_take_little_and_give_it_back() {
    on_a_node(async |node| {
        let before = resident(node);
        memory::forget_peak(pid(node)).unwrap();
        let mut connections = Vec::new();
        for _ in 0..8 {
            let mut stream = raw(node).await;
            let block = headers("/runtime.v1.ImageService/PullImage");
            let wire: Vec<u8> = (0..1250).flat_map(|n| frame(1, 4, 2 * n + 1, &block)).collect();
            write(&mut stream, &wire).await;
            connections.push(stream);
        }
        let took = memory::peak_kb(pid(node)).unwrap().saturating_sub(before);
        println!("10,000 open streams took {took} kB");
        assert!(took < 64 << 10, "10,000 open streams took {took} kB");
        node.cri().runtime().version(VersionRequest::default()).await.expect("kubelet is served");
        drop(connections);
        comes_back(node, before, "after the streams").await;
    });
}

#[test]
fn streams_that_are_opened_and_reset_in_a_flood_end_their_connection_and_cost_nothing() {
    on_a_node(async |node| {
        let before = resident(node);
        memory::forget_peak(pid(node)).unwrap();
        let block = headers("/runtime.v1.RuntimeService/ListContainers");
        let reset = |n: u32| [frame(1, 5, 2 * n + 1, &block), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
        let many: Vec<u8> = (0..50_000).flat_map(reset).collect();
        let continued = [frame(1, 0, 1, &block), frame(9, 0, 1, &[0x82; 1000]).repeat(10_000)].concat();
        for (what, wire) in [
            ("resets", many),
            ("continuations", continued),
            ("pings", frame(6, 0, 0, &[0; 8]).repeat(100_000)),
            ("settings", frame(4, 0, 0, &[0, 3, 0, 0, 0, 9]).repeat(100_000)),
        ] {
            let begun = Instant::now();
            for _ in 0..4 {
                write(&mut raw(node).await, &wire).await;
            }
            println!("{what}: {} bytes, {:?}", wire.len(), begun.elapsed());
            node.cri().runtime().version(VersionRequest::default()).await.expect("kubelet is served");
        }
        let took = memory::peak_kb(pid(node)).unwrap().saturating_sub(before);
        assert!(took < 64 << 10, "floods took {took} kB");
        comes_back(node, before, "after the floods").await;
    });
}

/// A call whose message of 16 MiB stops after most of it.
fn unfinished(megabytes: usize) -> http::Request<Body> {
    let head = Bytes::from_static(&[0, 1, 0, 0, 0]);
    let pieces = std::iter::once(head).chain(std::iter::repeat_n(Bytes::from(vec![0x7a; 64 << 10]), megabytes * 16));
    let frames = futures_util::stream::iter(pieces.map(|piece| Ok::<_, tonic::Status>(Frame::data(piece))));
    let never = futures_util::stream::pending();
    let body = Body::new(StreamBody::new(futures_util::StreamExt::chain(frames, never)));
    let request = http::Request::post("http://localhost/runtime.v1.ImageService/PullImage");
    request.header("te", "trailers").header("content-type", "application/grpc").body(body).expect("a request")
}

#[test]
fn messages_that_are_never_finished_have_a_bound_together_and_kubelet_is_served_meanwhile() {
    on_a_node(async |node| {
        let before = resident(node);
        memory::forget_peak(pid(node)).unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let channel = Cri::new(&node.daemon().socket()).channel();
            for _ in 0..4 {
                let mut channel = channel.clone();
                calls.spawn(async move {
                    tower::ServiceExt::ready(&mut channel).await.expect("connected");
                    tower::Service::call(&mut channel, unfinished(15)).await.is_ok()
                });
            }
        }
        // Some of 480 MiB have to go; each connection had 60.
        calls.join_next().await;
        node.cri().runtime().version(VersionRequest::default()).await.expect("kubelet is served");
        let took = memory::peak_kb(pid(node)).unwrap().saturating_sub(before) >> 10;
        println!("unfinished messages took {took} MiB");
        assert!(took < 400, "unfinished messages took {took} MiB");
        calls.shutdown().await;
        comes_back(node, before, "after unfinished messages").await;
    });
}

#[test]
fn more_connections_than_there_may_be_cost_the_oldest_idle_one_and_no_watcher() {
    on_a_node(async |node| {
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        let mut idle = Vec::new();
        for _ in 0..400 {
            idle.push(raw(node).await);
        }
        node.cri().runtime().version(VersionRequest::default()).await.expect("kubelet is served");
        let fresh = Cri::new(&node.daemon().socket());
        fresh.runtime().version(VersionRequest::default()).await.expect("so is the last to come");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), idle[0].read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the oldest is still there");
        let pod = node.pod("seen").run().await;
        let event = events.message().await.unwrap().expect("the watcher is still there");
        assert_eq!(event.container_id, pod.id());
    });
}

#[test]
fn a_large_pull_leaves_no_memory_behind() {
    on_a_node_with_an_empty_registry(async |node| {
        let megabytes: usize = std::env::var("GORAE_PULL_MEGABYTES").map_or(200, |n| n.parse().unwrap());
        let mut layers = Vec::new();
        for n in 0..4 {
            let mut layer = Writer::default();
            // Text of a program's kind: neither zeros nor noise.
            let mut seed = n as u32 + 1;
            let mut byte = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8 & 0x3f
            };
            let piece: Vec<u8> = (0..1 << 20).map(|_| byte()).collect();
            for file in 0..megabytes / 4 {
                layer.file(&format!("data-{n}/{file}"), 0o644, &piece);
            }
            layers.push(layer.finish(Packing::Gzip));
        }
        let image = Image {
            repository: "gorae/large".into(),
            tags: vec!["1".into()],
            layers,
            config: json!({}),
            form: Form::Oci,
        };
        node.registry().client().push(&image).unwrap();
        drop(image);
        let before = resident(node);
        memory::forget_peak(pid(node)).unwrap();
        let begun = Instant::now();
        node.cri().pull("images.gorae.test/gorae/large:1").await.unwrap();
        println!("{megabytes} MiB in {:?}", begun.elapsed());
        comes_back(node, before, "after the pull").await;
    });
}
