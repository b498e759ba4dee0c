// SPDX-License-Identifier: Apache-2.0
//! This terminal connected to a process: standard input and outputs over one WebSocket.
//!
//! The subprotocol is `v5.channel.k8s.io`: the first byte of each message is its channel.

use crate::streaming::connect::connect;
use crate::streaming::outcome::exit_code;
use crate::streaming::printer::{Printer, To};
use crate::streaming::terminal;
use anyhow::{Context, Result};
use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use std::io::Read;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{self, Message};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// `[255, channel]` ends a channel.
const END: u8 = 255;

/// How this terminal is used in a session.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    /// Whether the process has a terminal: then ours becomes raw, and its sizes are sent.
    pub tty: bool,
    /// Whether our standard input goes to the process.
    pub stdin: bool,
}

/// Connects standard input and outputs to an exec or attach URL until the session ends, and returns its exit code.
///
/// # Errors
/// When the server cannot be reached, the session failed, or the connection ended without a result.
pub async fn attach_stdio(url: &str, streams: Streams) -> Result<i32> {
    let socket = connect(url, "v5.channel.k8s.io").await?;
    let raw = if streams.tty && streams.stdin { terminal::Raw::enter()? } else { None };
    let (mut to_server, mut from_server) = socket.split();
    let result = tokio::select! {
        result = receive(&mut from_server) => result,
        Err(error) = send(&mut to_server, streams) => Err(error),
    };
    drop(raw);
    result
}

// === from the server ===

async fn receive(from_server: &mut (impl Stream<Item = tungstenite::Result<Message>> + Unpin)) -> Result<i32> {
    let printer = Printer::start();
    let mut status = Vec::new();
    while let Some(message) = from_server.next().await {
        let mut bytes = match message {
            Ok(message @ (Message::Binary(_) | Message::Text(_))) => message.into_data(),
            Ok(_) => continue,
            // The result is already here, so nothing important can be lost.
            Err(_) if !status.is_empty() => break,
            Err(error) => return Err(error).context("the connection to the streaming server broke"),
        };
        let Some(channel) = bytes.try_get_u8().ok() else { continue };
        let printed = match channel {
            STDOUT => printer.print(To::Stdout, bytes).await,
            STDERR => printer.print(To::Stderr, bytes).await,
            STATUS => {
                status.extend_from_slice(&bytes);
                true
            }
            _ => true,
        };
        if !printed {
            break;
        }
    }
    printer.finish().await?;
    exit_code(&status)
}

// === to the server ===

/// Sends input and terminal sizes while the session runs. It returns only with an error.
async fn send(
    to_server: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    streams: Streams,
) -> Result<()> {
    let mut input = if streams.stdin { Some(standard_input()) } else { None };
    let mut sizes = if streams.tty { Some(terminal::Sizes::watch()?) } else { None };
    loop {
        let message = tokio::select! {
            size = terminal::next_size(&mut sizes) => {
                let text = format!("{{\"Width\":{},\"Height\":{}}}", size.ws_col, size.ws_row);
                [&[RESIZE][..], text.as_bytes()].concat()
            }
            bytes = next_input(&mut input) => match bytes {
                Some(bytes) => [&[STDIN][..], &bytes].concat(),
                None => vec![END, STDIN],
            },
        };
        // `receive` gets the result of the session, which is more informative than this error.
        if to_server.send(Message::Binary(Bytes::from(message))).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for the next bytes of input; returns `None` once at the end, then waits for ever.
async fn next_input(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    let Some(receiver) = input else { return std::future::pending().await };
    let bytes = receiver.recv().await;
    if bytes.is_none() {
        *input = None;
    }
    bytes
}

/// Reads standard input on a separate thread: reading a terminal cannot be cancelled, and must not delay the end of the
/// program.
fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(read @ 1..) = stdin.read(&mut buffer) {
            if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
