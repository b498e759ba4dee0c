// SPDX-License-Identifier: Apache-2.0
//! A local port connected to a port of a pod: each connection is its own SPDY session inside a WebSocket.
//!
//! Such a session has one pair of streams: 1 for errors and 3 for data. So the connection itself provides
//! back-pressure, a stuck connection does not block others, and little of SPDY is needed: headers are sent as
//! uncompressed blocks, and the headers of replies are not read.

use crate::streaming::connect::connect;
use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const ERROR: u32 = 1;
const DATA: u32 = 3;
const FIN: u8 = 1;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const CANCEL: [u8; 4] = [0, 0, 0, 5];

type Server = WebSocketStream<TcpStream>;

/// Forwards every connection of a listener to a port of a pod, until the future is dropped.
///
/// `url` asks the daemon for a port-forward URL, which is valid for one connection. `report` gets the errors of single
/// connections.
///
/// # Errors
/// When the listener fails.
pub async fn forward<U, R>(listener: TcpListener, port: u16, url: U, report: R) -> Result<()>
where
    U: AsyncFn() -> Result<String>,
    R: Fn(&anyhow::Error),
{
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (local, _) = accepted.context("accept a connection")?;
                match url().await {
                    Ok(url) => drop(running.spawn(async move { carry(&url, port, local).await })),
                    Err(error) => report(&error),
                }
            }
            Some(Ok(Err(error))) = running.join_next() => report(&error),
        }
    }
}

/// Forwards one connection to its end.
async fn carry(url: &str, port: u16, local: TcpStream) -> Result<()> {
    let server = connect(url, "SPDY/3.1+portforward.k8s.io").await?;
    local.set_nodelay(true).context("set up the local connection")?;
    let (mut to_server, from_server) = server.split();
    let (from_local, to_local) = local.into_split();
    to_server.send(open_streams(port)).await.context("open the streams")?;
    let replied = Notify::new();
    let up = async {
        replied.notified().await;
        send(&mut to_server, from_local).await
    };
    tokio::select! {
        result = receive(from_server, to_local, &replied) => result,
        // When the local side has sent everything, the other direction is still open.
        () = async { up.await; std::future::pending().await } => Ok(()),
    }
}

// === to the server ===

fn open_streams(port: u16) -> Message {
    let port = port.to_string();
    let block = |first, kind| stored_block(first, &[("streamtype", kind), ("port", &port), ("requestid", "0")]);
    let syn = |id: u32, flags, block: Vec<u8>| {
        let fields = [&id.to_be_bytes()[..], &[0; 6], &block].concat();
        control(SYN_STREAM, flags, &fields)
    };
    let frames = [syn(ERROR, FIN, block(true, "error")), syn(DATA, 0, block(false, "data"))].concat();
    Message::Binary(frames.into())
}

/// Formats an uncompressed header block. The first one of a connection begins its zlib stream.
fn stored_block(first: bool, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut plain = (headers.len() as u32).to_be_bytes().to_vec();
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
        plain.extend_from_slice(text.as_bytes());
    }
    let length = plain.len() as u16;
    let start: &[u8] = if first { &[0x78, 0x01] } else { &[] };
    [start, &[0], &length.to_le_bytes(), &(!length).to_le_bytes(), &plain, &[0, 0, 0, 0xff, 0xff]].concat()
}

fn control(kind: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[0x80, 3], &kind.to_be_bytes()[..], &[flags, a, b, c], payload].concat()
}

fn data(flags: u8, bytes: &[u8]) -> Message {
    let [_, a, b, c] = (bytes.len() as u32).to_be_bytes();
    let frame = [&DATA.to_be_bytes()[..], &[flags, a, b, c], bytes].concat();
    Message::Binary(frame.into())
}

/// Sends what the local side writes, up to its end. If the server stops accepting, `receive` gets the reason.
async fn send(to_server: &mut SplitSink<Server, Message>, mut local: OwnedReadHalf) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let last = match local.read(&mut buffer).await {
            Ok(0) => data(FIN, &[]),
            Ok(read) => {
                if to_server.send(data(0, &buffer[..read])).await.is_err() {
                    return;
                }
                continue;
            }
            Err(_) => Message::Binary(control(RST_STREAM, 0, &[&DATA.to_be_bytes()[..], &CANCEL].concat()).into()),
        };
        let _ = to_server.send(last).await;
        return;
    }
}

// === from the server ===

/// One frame from the server, with the id of its stream.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Data { id: u32, fin: bool, bytes: Bytes },
    Control { kind: u16, id: u32 },
}

/// Takes a complete frame from the front of the received bytes; `None` while it is incomplete.
fn take_frame(pending: &mut BytesMut) -> Option<Frame> {
    let head = pending.first_chunk::<8>()?;
    let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let flags = head[4];
    let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
    if pending.len() < 8 + length {
        return None;
    }
    pending.advance(8);
    let payload = pending.split_to(length).freeze();
    if word & 0x8000_0000 == 0 {
        return Some(Frame::Data { id: word, fin: flags & FIN != 0, bytes: payload });
    }
    let id = payload.first_chunk::<4>().map_or(0, |id| u32::from_be_bytes(*id));
    Some(Frame::Control { kind: word as u16, id })
}

/// Writes what the pod sends to the local side until both streams have ended.
async fn receive(mut from_server: SplitStream<Server>, mut local: OwnedWriteHalf, replied: &Notify) -> Result<()> {
    let mut pending = BytesMut::new();
    let mut said = Vec::new();
    while let Some(message) = from_server.next().await {
        match message.context("the connection to the streaming server broke")? {
            Message::Binary(bytes) => pending.extend_from_slice(&bytes),
            _ => continue,
        }
        while let Some(frame) = take_frame(&mut pending) {
            match frame {
                Frame::Data { id: ERROR, fin, bytes } => {
                    said.extend_from_slice(&bytes);
                    if fin {
                        return end(&said);
                    }
                }
                Frame::Data { id: DATA, fin, bytes } => {
                    let gone = local.write_all(&bytes).await.is_err() || (fin && local.shutdown().await.is_err());
                    if gone {
                        return Ok(());
                    }
                }
                Frame::Control { kind: SYN_REPLY, id: DATA } => replied.notify_one(),
                Frame::Control { kind: RST_STREAM, id: ERROR } => return end(&said),
                _ => {}
            }
        }
    }
    end(&said)
}

fn end(said: &[u8]) -> Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    bail!("{}", String::from_utf8_lossy(said))
}
