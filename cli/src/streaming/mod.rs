// SPDX-License-Identifier: Apache-2.0
//! The client side of streaming sessions: this terminal at a process, or a local port at a pod's.
//!
//! Sessions run over WebSocket, since its v5 subprotocol can end stdin; ports run over SPDY inside WebSocket, since
//! that can end one direction of a connection.

mod forward;
mod printer;
mod terminal;

pub use forward::forward;

use std::io::Read;

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use printer::{Printer, To};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// What comes before the reason in the results of a session: words that kubectl knows, and nobody else needs.
const BEFORE_REASON: [&str; 3] =
    ["Internal error occurred: ", "error executing command in container: ", "error attaching to container: "];
/// `[255, channel]` ends a channel.
const END: u8 = 255;

/// How this terminal takes part in a session.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The process has a terminal: ours becomes raw and its size is sent along.
    pub tty: bool,
    /// Our standard input goes to the process.
    pub stdin: bool,
}

/// Connects standard input and outputs to an exec or attach URL until the session ends; its exit code.
///
/// # Errors
/// When the server cannot be reached, the session failed, or the connection ended without a result.
pub async fn attach_stdio(url: &str, options: Options) -> Result<i32> {
    let socket = connect(url, "v5.channel.k8s.io").await?;
    let raw = if options.tty && options.stdin { terminal::Raw::enter()? } else { None };
    let (mut to_server, mut from_server) = socket.split();
    let result = tokio::select! {
        result = receive(&mut from_server) => result,
        Err(error) = send(&mut to_server, options) => Err(error),
    };
    drop(raw);
    result
}

/// Opens a WebSocket with exactly one subprotocol.
async fn connect(url: &str, protocol: &'static str) -> Result<WebSocketStream<TcpStream>> {
    let mut request = url.replacen("http://", "ws://", 1).into_client_request().context("the streaming URL")?;
    let (host, port) = (request.uri().host().map(str::to_owned), request.uri().port_u16());
    let host = host.context("the streaming URL names no host")?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port.unwrap_or(80)));
    let stream = stream.await.with_context(|| format!("connect to the streaming server at {host}"))?;
    stream.set_nodelay(true).context("set up the connection to the streaming server")?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => {
            let text = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            bail!("the streaming server refused: {} {}", answer.status(), text.trim())
        }
        Err(error) => Err(error).context("upgrade the connection to the streaming server"),
    }
}

// === from the server ===

async fn receive(from_server: &mut (impl Stream<Item = tungstenite::Result<Message>> + Unpin)) -> Result<i32> {
    let printer = Printer::start();
    let mut status = Vec::new();
    while let Some(message) = from_server.next().await {
        let mut bytes = match message {
            Ok(message @ (Message::Binary(_) | Message::Text(_))) => message.into_data(),
            Ok(_) => continue,
            // After the status nothing of worth can be lost.
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

#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

fn exit_code(status: &[u8]) -> Result<i32> {
    if status.is_empty() {
        bail!("the session ended without a result");
    }
    let status: Status = serde_json::from_slice(status).context("read the result of the session")?;
    if status.status == "Success" {
        return Ok(0);
    }
    let code = status.details.causes.iter().find(|cause| cause.reason == "ExitCode").map(|cause| &cause.message);
    match code.and_then(|code| code.parse::<u8>().ok()) {
        Some(code) if status.reason == "NonZeroExitCode" => Ok(code.into()),
        _ => bail!("{}", reason(&status.message)),
    }
}

/// A result's own words.
fn reason(message: &str) -> &str {
    BEFORE_REASON.iter().fold(message, |rest, words| rest.strip_prefix(words).unwrap_or(rest))
}

// === to the server ===

/// Sends input and sizes for as long as the session runs: it ends only with an error.
async fn send(
    to_server: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    options: Options,
) -> Result<()> {
    let mut input = if options.stdin { Some(standard_input()) } else { None };
    let mut sizes = if options.tty { Some(terminal::Sizes::watch()?) } else { None };
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
        // The result of the session is read elsewhere, and is worth more than this error.
        if to_server.send(Message::Binary(Bytes::from(message))).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The next bytes of input; `None` once, at its end; then never anything.
async fn next_input(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    let Some(receiver) = input else { return std::future::pending().await };
    let bytes = receiver.recv().await;
    if bytes.is_none() {
        *input = None;
    }
    bytes
}

/// Reads standard input on a thread of its own: a read of a terminal cannot be called off, and must not hold the
/// end of the program.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_as_exit_codes_or_errors() {
        let failed = br#"{"status":"Failure","message":"m","reason":"NonZeroExitCode",
            "details":{"causes":[{"reason":"ExitCode","message":"42"}]}}"#;
        assert_eq!(exit_code(failed).ok(), Some(42));
        assert_eq!(exit_code(br#"{"metadata":{},"status":"Success"}"#).ok(), Some(0));
        let internal = exit_code(br#"{"status":"Failure","message":"it broke","reason":"InternalError","code":500}"#);
        assert_eq!(internal.map_err(|error| error.to_string()), Err("it broke".to_owned()));
        let missing = br#"{"status":"Failure","message":"Internal error occurred: error executing command in container: exec \"x\": not found"}"#;
        assert_eq!(exit_code(missing).map_err(|error| error.to_string()), Err("exec \"x\": not found".to_owned()));
        assert!(exit_code(b"").is_err());
        assert!(exit_code(b"nonsense").is_err());
    }
}
