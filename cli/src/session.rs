// SPDX-License-Identifier: Apache-2.0
//! Streaming sessions: requests the URL of a session from the daemon, then passes it to `streaming`.

use crate::client::Client;
use crate::failure::refused;
use crate::parse::port::Forward;
use crate::streaming::{self, Streams};
use crate::{failure, output};
use anyhow::{Context, Result};
use gorae_proto::cri;
use std::net::IpAddr;
use tokio::net::TcpListener;

/// The exit code that a shell gives for a command whose reader went away.
const SIGPIPE: u8 = 141;

/// Runs a command in a container and returns its exit code.
///
/// # Errors
/// When the daemon refuses, or the session breaks. When the command cannot be executed, the error carries the exit code
/// that a shell would give.
pub async fn exec(client: &Client, id: &str, command: Vec<String>, streams: Streams) -> Result<u8> {
    let request = cri::ExecRequest {
        container_id: id.to_owned(),
        cmd: command,
        tty: streams.tty,
        stdin: streams.stdin,
        stdout: true,
        stderr: !streams.tty,
    };
    let answer = client.runtime().exec(request).await;
    let url = answer.map_err(refused(|| format!("exec in container {id:.12}")))?.into_inner().url;
    match converse(&url, streams).await {
        Err(error) if output::reader_is_gone(&error) => Ok(SIGPIPE),
        Err(error) => Err(match failure::exec_code(&format!("{error:#}")) {
            Some(code) => failure::with_code(code)(error),
            None => error,
        }),
        done => done,
    }
}

/// Connects this terminal to that of a container, until the container exits or the session is closed.
///
/// # Errors
/// When the daemon refuses, or the session breaks.
pub async fn attach_terminal(client: &Client, id: &str, stdin: bool) -> Result<()> {
    let request = cri::AttachRequest { container_id: id.to_owned(), stdin, tty: true, stdout: true, stderr: false };
    let url = attach_url(client, request).await?;
    converse(&url, Streams { stdin, tty: true }).await.map(drop)
}

/// Prints what a container writes from now on, until it exits.
///
/// # Errors
/// When the daemon refuses, or the session breaks.
pub async fn watch_output(client: &Client, id: &str) -> Result<()> {
    let request = cri::AttachRequest { container_id: id.to_owned(), stdout: true, stderr: true, ..Default::default() };
    let url = attach_url(client, request).await?;
    converse(&url, Streams { stdin: false, tty: false }).await.map(drop)
}

/// Sends standard input to a container, up to the end of the input.
///
/// # Errors
/// When the daemon refuses, or the session breaks.
pub async fn feed_stdin(client: &Client, id: &str) -> Result<()> {
    let request = cri::AttachRequest { container_id: id.to_owned(), stdin: true, ..Default::default() };
    let url = attach_url(client, request).await?;
    converse(&url, Streams { stdin: true, tty: false }).await.map(drop)
}

async fn attach_url(client: &Client, request: cri::AttachRequest) -> Result<String> {
    let id = request.container_id.clone();
    let answer = client.runtime().attach(request).await;
    Ok(answer.map_err(refused(|| format!("attach to container {id:.12}")))?.into_inner().url)
}

/// Whether an error came from a session that had begun.
pub fn was_open(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<tokio_tungstenite::tungstenite::Error>())
}

async fn converse(url: &str, streams: Streams) -> Result<u8> {
    let code = streaming::attach_stdio(url, streams).await?;
    Ok(u8::try_from(code).unwrap_or(255))
}

/// Listens on each local port and forwards every connection to the pod, until the program is interrupted.
///
/// # Errors
/// When a local port is taken, or the daemon refuses.
pub async fn forward(client: &Client, pod: &str, address: IpAddr, ports: &[Forward]) -> Result<()> {
    // Ask once before listening, so that a missing pod is an error now and not at the first connection.
    forward_url(client, pod, ports[0].remote).await?;
    let mut running = Vec::new();
    for port in ports {
        let tried = || format!("listen on {address} port {}", port.local);
        let listener = TcpListener::bind((address, port.local)).await.with_context(tried)?;
        let here = listener.local_addr().with_context(tried)?;
        output::print(&format!("forwarding {here} to port {} of the pod\n", port.remote))?;
        let url = async move || forward_url(client, pod, port.remote).await;
        let report = |error: &anyhow::Error| output::remark(&format!("gorae: {error:#}"));
        running.push(streaming::forward(listener, port.remote, url, report));
    }
    futures_util::future::try_join_all(running).await?;
    Ok(())
}

/// Requests a URL, which is valid for one connection.
async fn forward_url(client: &Client, pod: &str, port: u16) -> Result<String> {
    let request = cri::PortForwardRequest { pod_sandbox_id: pod.to_owned(), port: vec![port.into()] };
    let answer = client.runtime().port_forward(request).await;
    Ok(answer.map_err(refused(|| format!("forward ports of pod {pod:.12}")))?.into_inner().url)
}
