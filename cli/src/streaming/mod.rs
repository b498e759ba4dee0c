// SPDX-License-Identifier: Apache-2.0
//! The client side of streaming sessions: this terminal at a process, or a local port at a pod's.
//!
//! Sessions run over WebSocket, since its v5 subprotocol can end stdin; ports run over SPDY inside WebSocket, since
//! that can end one direction of a connection.

mod connect;
mod forward;
mod outcome;
mod printer;
mod stdio;
mod terminal;

pub use forward::forward;
pub use stdio::{Streams, attach_stdio};
