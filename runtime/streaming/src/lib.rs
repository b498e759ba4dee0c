// SPDX-License-Identifier: Apache-2.0
//! The streaming server: Exec, Attach and PortForward of the CRI, over SPDY/3.1 and WebSocket.
//!
//! ```text
//! RPC ── exec_url ── token ──┐                                       ┌ stdin  ─► pipe or pty
//!                            ▼                                       │
//! client ── HTTP/1.1 ── routes ── upgrade ── spdy | websocket ── session ◄─ stdout, stderr
//!                                                                    │
//!                                                   Backend ◄── exec, attach, dial
//! ```
//!
//! The crate owns tokens, sockets and byte copying. It does not know what a container is: a [`Backend`] starts
//! processes and dials ports, and returns descriptors. A connection is one task that owns everything in its session, so
//! dropping the task closes all its descriptors.

#![forbid(unsafe_code)]

mod backend;
mod config;
mod listener;
pub mod resize;
mod routes;
mod server;
mod session;
mod socket;
pub mod spdy;
#[cfg(test)]
mod tests;
mod tls;
pub mod tokens;
mod upgrade;
mod waiting;
pub mod websocket;

pub use backend::{AttachRequest, Backend, Control, ExecRequest, Process};
pub use config::Config;
pub use resize::TerminalSize;
pub use server::Server;
pub use tls::CertificateFiles;
