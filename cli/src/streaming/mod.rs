// SPDX-License-Identifier: Apache-2.0
//! The client side of streaming sessions: this terminal connected to a process, or a local port to a port of a pod.
//!
//! Terminals use the v5 subprotocol of WebSocket, which can signal the end of standard input. Ports use SPDY inside
//! WebSocket, which can close one direction of a connection.

mod connect;
mod forward;
mod outcome;
mod printer;
mod stdio;
mod terminal;

pub use forward::forward;
pub use stdio::{Streams, attach_stdio};
