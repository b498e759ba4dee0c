// SPDX-License-Identifier: Apache-2.0
//! Port forwarding over WebSocket: plain channels, and SPDY inside.

use super::forward_spdy::{application, counts_and_answers_late, echoes, url};
use super::server;
use super::spdy_client;
use super::websocket_client::{Client, MASK};
use crate::websocket::frames;
use std::net::TcpListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn each_port_has_a_pair_of_channels_that_begin_with_its_number() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", echoes);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for protocol in ["v4.channel.k8s.io", ""] {
        let mut client = Client::upgrade(&url(&server, vec![port.into(), free.into()]), protocol).await;
        client.send(0, b"hello").await;
        client.until(|client| client.channel(0).len() >= 7 && client.channel(3).len() > 2).await;
        assert_eq!(client.channel(0), [&port.to_le_bytes()[..], b"hello"].concat());
        assert_eq!(client.channel(1), port.to_le_bytes());
        assert_eq!(client.channel(2), free.to_le_bytes());
        assert!(String::from_utf8_lossy(&client.channel(3)[2..]).starts_with("error forwarding port"));
    }
}

#[tokio::test]
async fn no_ports_close_at_once_and_too_many_are_refused() {
    let (server, _) = server().await;
    let mut client = Client::upgrade(&url(&server, vec![]), "v4.channel.k8s.io").await;
    assert_eq!(client.close_code().await, 1000);
    let headers =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n";
    let (head, _socket) = super::http::request("GET", &url(&server, vec![80; 128]), headers, b"").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let headers = format!("{headers}Sec-WebSocket-Protocol: v4.base64.channel.k8s.io\r\n");
    for (ports, status) in [(40, "101"), (41, "400")] {
        let (head, _socket) = super::http::request("GET", &url(&server, vec![80; ports]), &headers, b"").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{ports} ports: {head}");
    }
}

/// Wraps and unwraps a SPDY connection, so that the SPDY client can talk through it.
async fn tunnel(url: &str, piece: usize) -> (spdy_client::Client, tokio::task::JoinHandle<u16>) {
    let client = Client::upgrade(url, "SPDY/3.1+portforward.k8s.io").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let carry = tokio::spawn(carry(client, far, piece));
    (spdy_client::Client::over(near), carry)
}

async fn carry(client: Client, far: tokio::net::TcpStream, piece: usize) -> u16 {
    let (mut from_spdy, mut to_spdy) = far.into_split();
    let (mut from_server, mut to_server) = client.socket.into_split();
    let up = async {
        let mut buffer = vec![0; piece];
        while let Ok(read @ 1..) = from_spdy.read(&mut buffer).await {
            let frame = frames::masked_frame(frames::BINARY, true, MASK, &buffer[..read]);
            to_server.write_all(&frame).await.unwrap();
        }
        let close = frames::masked_frame(frames::CLOSE, true, MASK, &1000u16.to_be_bytes());
        to_server.write_all(&close).await.unwrap();
    };
    let down = async {
        let mut decoder = frames::Decoder::client();
        let mut buffer = vec![0; 65536];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap();
            if read == 0 {
                return 0;
            }
            let mut input = &mut buffer[..read];
            while let Some(event) = decoder.next(&mut input).unwrap() {
                match event {
                    frames::Event::Piece { bytes, text, .. } => {
                        assert!(!text);
                        let _ = to_spdy.write_all(bytes).await;
                    }
                    frames::Event::Close(code) => return code.unwrap_or(0),
                    _ => {}
                }
            }
        }
    };
    tokio::join!(up, down).1
}

#[tokio::test]
async fn a_tunnel_carries_spdy_however_the_messages_are_cut() {
    let (server, _) = server().await;
    let port = application("127.0.0.1:0", counts_and_answers_late).to_string();
    for piece in [1, 13, 64 * 1024] {
        let (mut client, carry) = tunnel(&url(&server, vec![]), piece).await;
        let headers = |kind| [("streamtype", kind), ("port", port.as_str()), ("requestid", "0")];
        let error = client.open_with(&headers("error")).await;
        let data = client.open_with(&headers("data")).await;
        client.send(data, &[9; 5000], true).await;
        client.until(|client| client.streams[&error].finished && client.streams[&data].finished).await;
        assert_eq!(client.streams[&data].data, b"5000 bytes");
        drop(client);
        assert_eq!(carry.await.unwrap(), 1000);
    }
}

#[tokio::test]
async fn text_in_a_tunnel_is_refused() {
    let (server, _) = server().await;
    let mut client = Client::upgrade(&url(&server, vec![]), "SPDY/3.1+portforward.k8s.io").await;
    client.frame(frames::TEXT, b"hello").await;
    assert_eq!(client.close_code().await, 1003);
}
