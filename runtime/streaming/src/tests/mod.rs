// SPDX-License-Identifier: Apache-2.0
//! Tests of the whole server, with real processes behind it and clients that send raw frames.
//!
//! | what a client may do | where |
//! |---|---|
//! | methods, tokens used twice, on other paths or too late, protocols, requests that are slow, silent or split | [`http`] |
//! | malformed SPDY frames and header blocks, ids, floods, frames without use, cuts | [`hostile`] |
//! | streams missing, extra, reset at any moment; half-close, idleness, tiny windows, a client that vanishes | [`exec_spdy`] |
//! | WebSocket frames against the rules, fragments, channels, base64, half-close, Close, cuts | [`exec_websocket`] |
//! | pairs of streams, half of one, thousands of them; resets, refusals, half-close, back-pressure | [`forward_spdy`] |
//! | ports as channels, SPDY inside of messages | [`forward_websocket`] |
//! | what ends an attach session, and a container that runs on without its outputs | [`attach`] |
//! | a peer that vanishes without closing, and one that only stops reading | [`half_open`] |
//! | TLS: the same sessions, certificates that are renewed, broken or wrong | [`tls`] |
//! | the server's shutdown | [`shutdown`] |
//! | small changes to valid bytes | [`mutations`], and longer in `tests/fuzz` |
//!
//! Real clients are tested in `tests/tests/streaming`.

mod attach;
mod backend;
mod exec_spdy;
mod exec_websocket;
mod forward_spdy;
mod forward_websocket;
mod half_open;
mod hostile;
mod http;
mod mutations;
mod shutdown;
mod spdy_client;
mod tls;
mod websocket_client;

use self::backend::Local;
use super::{Config, Server};
use gorae_proto::cri;
use std::sync::Arc;
use std::time::Duration;

/// Starts a server whose backend runs processes on this machine.
async fn server() -> (Server, Arc<Local>) {
    server_with(Config { drain: Duration::from_millis(300), ..Config::default() }).await
}

async fn server_with(config: Config) -> (Server, Arc<Local>) {
    let backend = Arc::new(Local::default());
    (Server::start(config, backend.clone()).await.unwrap(), backend)
}

/// Builds a request. Flags are letters: i stdin, o stdout, e stderr, t terminal.
fn exec(command: &[&str], flags: &str) -> cri::ExecRequest {
    cri::ExecRequest {
        container_id: "here".into(),
        cmd: command.iter().map(|part| (*part).to_string()).collect(),
        tty: flags.contains('t'),
        stdin: flags.contains('i'),
        stdout: flags.contains('o'),
        stderr: flags.contains('e'),
    }
}

fn shell(script: &str, flags: &str) -> cri::ExecRequest {
    exec(&["sh", "-c", script], flags)
}

/// Splits a URL into address and path.
fn parts(url: &str) -> (&str, &str) {
    let (_, rest) = url.split_once("://").expect("absolute, with its scheme");
    rest.split_at(rest.find('/').expect("a path"))
}

/// Makes a peer's machine vanish: no packet reaches it, so it does not respond, but its connection stays.
pub(super) fn vanish(client: &tokio::net::TcpStream) {
    const DROP_ALL: socket2::SockFilter = socket2::SockFilter::new(libc::BPF_RET as u16, 0, 0, 0);
    socket2::SockRef::from(client).attach_filter(&[DROP_ALL]).unwrap();
}

/// Fails a test that hangs.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("done within a minute")
}

/// A name that no other run of these tests uses.
fn unique(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// Whether a process with this marker in its command line is alive.
fn is_running(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let state = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker) && !state.contains(") Z ")
    })
}

/// Waits until the server has no connection and its backend has no process.
async fn left_nothing(server: &Server, backend: &Local) {
    eventually("connections and processes are gone", || server.connections() == 0 && backend.left().is_empty()).await;
}

/// Waits until a condition holds.
async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {what}");
}
