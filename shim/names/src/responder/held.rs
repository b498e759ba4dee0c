// SPDX-License-Identifier: Apache-2.0
//! What the responder holds: clients, their connections, and their questions to servers.

use super::link::Link;
use crate::bucket::Bucket;
use crate::decide::Transport;
use crate::framed::Framed;
use crate::table::View;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Instant;

/// One container.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) container: String,
    pub(super) datagrams: UdpSocket,
    pub(super) listener: TcpListener,
    pub(super) view: View,
    pub(super) bucket: Bucket,
    /// How many of its questions wait for a server.
    pub(super) open: usize,
    pub(super) connections: usize,
    pub(super) queries: u64,
    pub(super) pauses: u64,
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) client: u64,
    pub(super) framed: Framed,
    pub(super) doing: Doing,
    pub(super) until: Instant,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// A query.
    Reading,
    /// A server's answer.
    Waiting,
    /// Room for an answer.
    Writing,
}

/// A question that a server has been asked.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: u64,
    pub(super) back: Back,
    pub(super) by: Transport,
    /// The client's number of it.
    pub(super) id: u16,
    /// As the server got it: with a number that nobody can guess.
    pub(super) asked: Vec<u8>,
    /// Which server has it.
    pub(super) server: usize,
    pub(super) link: Link,
    pub(super) until: Instant,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// To this address.
    Datagram(SocketAddr),
    /// Into this stream.
    Stream(u64),
}
