// SPDX-License-Identifier: Apache-2.0
//! Streaming sessions: the daemon is asked for an address, then `remote` speaks with it.

use crate::client::Client;
use crate::failure::refused;
use anyhow::{Result, bail};
use gorae_proto::cri;

/// Which streams of this terminal take part; output always does.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// One terminal instead of two streams.
    pub tty: bool,
}

/// Runs a command in a container and returns its exit code.
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
    converse(&url, streams).await
}

/// Connects this terminal to a container's streams until the container ends or the terminal is closed.
pub async fn attach(client: &Client, id: &str, streams: Streams) -> Result<u8> {
    let request = cri::AttachRequest {
        container_id: id.to_owned(),
        stdin: streams.stdin,
        tty: streams.tty,
        stdout: true,
        stderr: !streams.tty,
    };
    let answer = client.runtime().attach(request).await;
    let url = answer.map_err(refused(|| format!("attach to container {id:.12}")))?.into_inner().url;
    converse(&url, streams).await
}

/// Sends standard input to a container, up to its end.
pub async fn feed_stdin(client: &Client, id: &str) -> Result<()> {
    let request = cri::AttachRequest { container_id: id.to_owned(), stdin: true, ..Default::default() };
    let answer = client.runtime().attach(request).await;
    let url = answer.map_err(refused(|| format!("attach to container {id:.12}")))?.into_inner().url;
    converse(&url, Streams { stdin: true, tty: false }).await.map(drop)
}

async fn converse(_url: &str, _streams: Streams) -> Result<u8> {
    bail!("streaming is not in this build yet")
}

/// Reaches ports of a pod from this machine until the program is interrupted.
pub async fn forward(
    client: &Client,
    pod: &str,
    _address: std::net::IpAddr,
    ports: &[crate::parse::port::Forward],
    _output: &crate::output::Output,
) -> Result<()> {
    let port = ports.iter().map(|port| port.remote.into()).collect();
    let request = cri::PortForwardRequest { pod_sandbox_id: pod.to_owned(), port };
    let answer = client.runtime().port_forward(request).await;
    let _url = answer.map_err(refused(|| format!("forward ports of pod {pod:.12}")))?.into_inner().url;
    bail!("streaming is not in this build yet")
}
