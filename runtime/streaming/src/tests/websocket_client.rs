// SPDX-License-Identifier: Apache-2.0
//! A client that speaks WebSocket frame by frame.

use super::{http, parts, soon};
use crate::websocket::frames::{self, BINARY, Decoder, Event};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) const MASK: [u8; 4] = [0xa1, 0x02, 0xf3, 0x44];

#[derive(Debug)]
pub(super) struct Client<S = TcpStream> {
    pub(super) socket: S,
    decoder: Decoder,
    message: Vec<u8>,
    /// Whole messages, in order.
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) texts: usize,
    pub(super) closed: Option<u16>,
    pub(super) pongs: Vec<String>,
}

impl Client {
    pub(super) async fn upgrade(url: &str, protocol: &str) -> Self {
        let (address, path) = parts(url);
        let socket = TcpStream::connect(address).await.unwrap();
        // As in Go's clients: otherwise every second small frame waits 40 ms for an acknowledgement.
        socket.set_nodelay(true).unwrap();
        Self::upgrade_over(socket, path, protocol).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Asks for the upgrade on an existing connection.
    pub(super) async fn upgrade_over(mut socket: S, path: &str, protocol: &str) -> Self {
        let mut headers = String::from(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        );
        if !protocol.is_empty() {
            headers += &format!("Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        let head = http::request_over(&mut socket, ("GET", path), &headers, b"").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self {
            socket,
            decoder: Decoder::client(),
            message: Vec::new(),
            messages: Vec::new(),
            texts: 0,
            closed: None,
            pongs: Vec::new(),
        }
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(super) async fn frame(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(&frames::masked_frame(opcode, true, MASK, payload)).await;
    }

    pub(super) async fn send(&mut self, channel: u8, bytes: &[u8]) {
        self.frame(BINARY, &[&[channel], bytes].concat()).await;
    }

    pub(super) async fn pump(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = self.socket.read(&mut buffer).await.unwrap_or(0);
        let mut input = &mut buffer[..read];
        while let Some(event) = self.decoder.next(&mut input).expect("the server speaks correctly") {
            assert!(self.closed.is_none(), "nothing after Close");
            match event {
                Event::Piece { end, text, bytes, .. } => {
                    self.message.extend_from_slice(bytes);
                    if end {
                        self.texts += usize::from(text);
                        self.messages.push(std::mem::take(&mut self.message));
                    }
                }
                Event::Pong => self.pongs.push(String::new()),
                Event::Close(code) => self.closed = Some(code.unwrap_or(0)),
                Event::Ping(_) => panic!("the server sends no pings"),
            }
        }
        read > 0
    }

    pub(super) async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            assert!(soon(self.pump()).await || so(self), "the connection ended before: {:?}", self.messages);
        }
    }

    /// All bytes that arrived on a channel.
    pub(super) fn channel(&self, number: u8) -> Vec<u8> {
        let of_channel = self.messages.iter().filter(|message| message.first() == Some(&number));
        of_channel.flat_map(|message| message[1..].to_vec()).collect()
    }

    pub(super) fn text(&self, number: u8) -> String {
        String::from_utf8_lossy(&self.channel(number)).into_owned()
    }

    /// Reads up to Close, answers it, and waits for the connection to end.
    pub(super) async fn close_code(&mut self) -> u16 {
        self.until(|client| client.closed.is_some()).await;
        // A server that closed because of a fault need not read the answer.
        let answer = frames::masked_frame(frames::CLOSE, true, MASK, &1000u16.to_be_bytes());
        let _ = self.socket.write_all(&answer).await;
        while soon(self.pump()).await {}
        self.closed.unwrap()
    }
}
