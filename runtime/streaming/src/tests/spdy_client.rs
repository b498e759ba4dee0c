// SPDX-License-Identifier: Apache-2.0
//! A client that speaks SPDY frame by frame and records what it sees, in order.

use super::http;
use crate::spdy::{Event, Session, frames};
use std::collections::HashMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) data: Vec<u8>,
    pub(super) length: usize,
    pub(super) replied: bool,
    pub(super) finished: bool,
    pub(super) reset: bool,
}

#[derive(Debug)]
pub(super) struct Client<S = TcpStream> {
    pub(super) socket: S,
    pub(super) session: Session,
    pub(super) streams: HashMap<u32, Seen>,
    /// Ends and replies in the order of arrival: `reply 1`, `fin 3`, `reset 5`, `ping 7`, `goaway`, `eof`.
    pub(super) log: Vec<String>,
    pub(super) names: HashMap<String, u32>,
    /// Counts received bytes instead of keeping them.
    pub(super) count_only: bool,
    pub(super) eof: bool,
    /// The most bytes of one read.
    pub(super) window: usize,
}

impl Client {
    pub(super) async fn upgrade(url: &str, protocols: &str) -> Self {
        let (address, path) = super::parts(url);
        let socket = TcpStream::connect(address).await.unwrap();
        // As in Go's clients: otherwise every second small frame waits 40 ms for an acknowledgement.
        socket.set_nodelay(true).unwrap();
        Self::upgrade_over(socket, path, protocols).await
    }

    /// Connects as kubectl does and opens the streams that the flags name.
    pub(super) async fn exec(url: &str, flags: &str) -> Self {
        let mut client = Self::upgrade(url, "v5.channel.k8s.io,v4.channel.k8s.io,v3.channel.k8s.io").await;
        client.open_streams(flags).await;
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn over(socket: S) -> Self {
        Self {
            socket,
            session: Session::client(),
            streams: HashMap::new(),
            log: Vec::new(),
            names: HashMap::new(),
            count_only: false,
            eof: false,
            window: 256 * 1024,
        }
    }

    /// Asks for the upgrade on an existing connection.
    pub(super) async fn upgrade_over(mut socket: S, path: &str, protocols: &str) -> Self {
        let head = format!(
            "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocols}\r\nContent-Length: 0\r\n"
        );
        let head = http::request_over(&mut socket, ("POST", path), &head, b"").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self::over(socket)
    }

    pub(super) async fn open_streams(&mut self, flags: &str) {
        let names = [('-', "error"), ('i', "stdin"), ('o', "stdout"), ('e', "stderr"), ('t', "resize")];
        for (flag, name) in names {
            if flag == '-' || flags.contains(flag) {
                self.open(name).await;
            }
        }
    }

    pub(super) async fn open(&mut self, name: &str) -> u32 {
        let id = self.open_with(&[("streamtype", name)]).await;
        self.names.insert(name.into(), id);
        id
    }

    /// Opens a stream and waits for the reply, as clients do.
    pub(super) async fn open_with(&mut self, headers: &[(&str, &str)]) -> u32 {
        let id = self.syn(headers).await;
        self.until(|client| client.streams[&id].replied || client.streams[&id].reset).await;
        id
    }

    pub(super) async fn syn(&mut self, headers: &[(&str, &str)]) -> u32 {
        let (id, frame) = self.session.open(headers);
        self.streams.insert(id, Seen::default());
        self.raw(&frame).await;
        id
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(super) fn id(&self, name: &str) -> u32 {
        self.names[name]
    }

    pub(super) fn seen(&self, name: &str) -> &Seen {
        &self.streams[&self.names[name]]
    }

    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.seen(name).data).into_owned()
    }

    pub(super) async fn send(&mut self, id: u32, bytes: &[u8], fin: bool) {
        self.raw(&frames::data_head(id, fin, bytes.len())).await;
        self.raw(bytes).await;
        if fin {
            self.session.finish(id);
        }
    }

    /// Reads once; false at the end.
    pub(super) async fn pump(&mut self) -> bool {
        let mut buffer = vec![0; self.window];
        let read = self.socket.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            if !self.eof {
                self.log.push("eof".into());
            }
            self.eof = true;
            return false;
        }
        let mut input = &buffer[..read];
        while let Some(event) = self.session.next(&mut input).expect("the server speaks correctly") {
            let (word, id) = match event {
                Event::Replied { id } => ("reply", id),
                Event::Data { id, bytes } => {
                    let seen = self.streams.get_mut(&id).expect("a stream of ours");
                    assert!(seen.replied && !seen.finished && !seen.reset, "data in its time");
                    seen.length += bytes.len();
                    if !self.count_only || bytes.len() < 1000 {
                        seen.data.extend_from_slice(bytes);
                    }
                    if !self.session.has_ended(id) {
                        continue;
                    }
                    ("fin", id)
                }
                Event::Finished { id } => ("fin", id),
                Event::Reset { id } => ("reset", id),
                Event::Pong { id } => ("ping", id),
                Event::GoAway => {
                    self.log.push("goaway".into());
                    continue;
                }
                other => panic!("not from a server: {other:?}"),
            };
            self.log.push(format!("{word} {id}"));
            if let Some(seen) = self.streams.get_mut(&id) {
                match word {
                    "reply" => seen.replied = true,
                    "fin" => seen.finished = true,
                    "reset" => seen.reset = true,
                    _ => {}
                }
            }
        }
        true
    }

    pub(super) async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            assert!(super::soon(self.pump()).await || so(self), "the connection ended before: {:?}", self.log);
        }
    }

    /// Reads up to the end of the error stream, and disconnects as clients do.
    pub(super) async fn status(&mut self) -> String {
        self.until(|client| client.seen("error").finished).await;
        self.text("error")
    }

    pub(super) async fn rest(&mut self) {
        while super::soon(self.pump()).await {}
    }
}
