// SPDX-License-Identifier: Apache-2.0
//! Sessions: everything on a connection after its upgrade.
//!
//! - [`connection`]: the connection from its upgrade to its close; [`intake`] reads it, [`outbox`] is written to it.
//! - [`link`]: the shared state of a connection's futures; [`peer`] asks the kernel whether the other end still
//!   responds.
//! - [`inlet`], [`outlet`], [`sizes`]: the streams from and to the client.
//! - [`task`], [`process`], [`pump`], [`pipes`], [`status`]: exec and attach, the same over both transports.
//! - [`spdy_stdio`], [`websocket_stdio`]: the two ways to name the streams of a process.
//! - [`forward`], [`spdy_forward`], [`websocket_forward`]: port forwarding.
//! - [`messages`]: the read loop that both kinds of WebSocket session share.
//!
//! Each connection is one task. Its reader, writer and pumps are futures inside that task. They wait for each other
//! only through the bounded queues: the reader and the pumps for room, the writer for the socket.

pub(super) mod connection;
pub(super) mod forward;
pub(super) mod inlet;
pub(super) mod intake;
pub(super) mod link;
pub(super) mod messages;
pub(super) mod outbox;
pub(super) mod outlet;
pub(super) mod peer;
pub(super) mod pipes;
pub(super) mod process;
pub(super) mod pump;
pub(super) mod sizes;
pub(super) mod spdy_forward;
pub(super) mod spdy_stdio;
pub(super) mod status;
pub(super) mod task;
pub(super) mod websocket_forward;
pub(super) mod websocket_stdio;
