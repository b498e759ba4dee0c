// SPDX-License-Identifier: Apache-2.0
//! The listener for operators, asked as curl does: one request a connection, written out.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Longest time for an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number of its first line.
    pub status: u16,
    /// Its headers as they came, with the first line.
    pub head: String,
    /// What stands after them.
    pub body: String,
}

/// A GET of a path over the unix socket.
///
/// # Errors
/// When nobody listens, or the answer is not HTTP.
pub async fn get(socket: &Path, path: &str) -> Result<Answer> {
    ask(UnixStream::connect(socket).await?, "GET", path, "localhost", "").await
}

/// Sets the level of the log over the unix socket.
///
/// # Errors
/// As [`get`].
pub async fn put_level(socket: &Path, level: &str) -> Result<Answer> {
    ask(UnixStream::connect(socket).await?, "PUT", "/log-level", "localhost", level).await
}

/// Any request over TCP, with the `Host` that is wanted.
///
/// # Errors
/// As [`get`].
pub async fn over_tcp(address: SocketAddr, method: &str, path: &str, host: &str) -> Result<Answer> {
    ask(TcpStream::connect(address).await?, method, path, host, "debug").await
}

async fn ask<S>(mut stream: S, method: &str, path: &str, host: &str, body: &str) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8(answer)?)
    };
    let answer = tokio::time::timeout(LIMIT, exchange).await.context("the listener is silent")??;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("not HTTP: {answer:?}"))?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
