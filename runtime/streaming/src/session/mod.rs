// SPDX-License-Identifier: Apache-2.0
//! Sessions: what happens on a connection after its upgrade.
//!
//! - [`link`]: one connection: its queue to the socket, its reader, its clocks.
//! - [`peer`]: whether anybody is left at its other end.
//! - [`outbox`], [`inlet`], [`outlet`]: bounded queues between socket and process, and the way a stream is written.
//! - [`process`]: exec and attach, the same over both transports.
//! - [`spdy_stdio`], [`websocket_stdio`]: the two ways to name the streams of a process.
//! - [`forward`], [`spdy_forward`], [`websocket_forward`]: port forwarding.
//!
//! Each connection is one task. Its reader, writer and pumps are futures inside that task which never wait for one
//! another except through the bounded queues: the reader for room, the pumps for room, the writer for the socket.

pub(super) mod forward;
pub(super) mod inlet;
pub(super) mod link;
pub(super) mod outbox;
pub(super) mod outlet;
pub(super) mod peer;
pub(super) mod process;
pub(super) mod resize;
pub(super) mod sizes;
pub(super) mod spdy_forward;
pub(super) mod spdy_stdio;
pub(super) mod status;
pub(super) mod websocket_forward;
pub(super) mod websocket_stdio;
