// SPDX-License-Identifier: Apache-2.0
//! A GET over HTTP/1.0, enough to see whether a pod's web server is reached.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Fetches a page and returns the status and the body.
///
/// # Errors
/// When the server is not reached or does not speak HTTP.
pub async fn get(address: &str, path: &str) -> Result<(u16, String)> {
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, fetch(address, path)).await.with_context(|| format!("{address} is silent"))?
}

async fn fetch(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{address} answered {answer:?}"))?;
    let status = head.split(' ').nth(1).context("no status in the answer")?.parse()?;
    Ok((status, body.to_owned()))
}

/// Fetches a page, again and again while the server is not up, for at most ten seconds; panics when it never is.
pub async fn get_soon(address: &str, path: &str) -> (u16, String) {
    let begun = Instant::now();
    loop {
        match get(address, path).await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
