// SPDX-License-Identifier: Apache-2.0
//! The streams of a forwarding connection, two for each connection to a port.

use crate::session::inlet::Inlet;
use crate::spdy::headers::Headers;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a stream of a pair carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The reason why the connection to the port could not be made.
    Error,
    /// The bytes of the connection.
    Data,
}

impl Kind {
    /// The value of the header `streamtype`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Data => "data",
        }
    }
}

/// Reads the kind and the port from the headers of a new stream. `None`: it cannot be forwarded.
///
/// - Shapes: the port is a decimal number from 1 to 65535.
pub(super) fn kind_and_port(headers: &Headers) -> Option<(Kind, u16)> {
    let name = headers.get("streamtype")?;
    let kind = [Kind::Error, Kind::Data].into_iter().find(|kind| kind.name() == name)?;
    let port = headers.get("port")?;
    let decimal = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| decimal && *port > 0)?;
    Some((kind, port))
}

/// The key that the two streams of a pair share: their `requestid`; for clients that send none, the id of the error
/// stream, which opens just before the data stream.
pub(super) fn key(headers: &Headers, kind: Kind, id: u32) -> String {
    match (headers.get("requestid"), kind) {
        (Some(key), _) => key.to_owned(),
        (None, Kind::Error) => id.to_string(),
        (None, Kind::Data) => id.saturating_sub(2).to_string(),
    }
}

/// A stream of a pair.
pub(super) struct Line {
    pub(super) id: u32,
    pub(super) inlet: Inlet,
    pub(super) closed: CancellationToken,
}

/// The two streams of one forwarded connection.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) port: u16,
    lines: Mutex<Lines>,
    /// Both streams exist, or the only one is gone.
    pub(super) settled: Notify,
}

#[derive(Default)]
struct Lines {
    error: Option<Arc<Line>>,
    data: Option<Arc<Line>>,
}

impl Pair {
    /// Makes a pair whose streams have not arrived yet.
    pub(super) fn new(key: String, port: u16) -> Self {
        Self { key, port, lines: Mutex::default(), settled: Notify::new() }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error stream and the data stream, if they have arrived.
    pub(super) fn both(&self) -> (Option<Arc<Line>>, Option<Arc<Line>>) {
        let lines = self.lines();
        (lines.error.clone(), lines.data.clone())
    }

    /// Adds a stream; false when the pair already has one of its kind.
    pub(super) fn join(&self, kind: Kind, line: &Arc<Line>) -> bool {
        let mut lines = self.lines();
        let place = match kind {
            Kind::Error => &mut lines.error,
            Kind::Data => &mut lines.data,
        };
        if place.is_some() {
            return false;
        }
        *place = Some(line.clone());
        if lines.error.is_some() && lines.data.is_some() {
            self.settled.notify_one();
        }
        true
    }
}

/// The pairs and streams of a connection.
#[derive(Default)]
pub(super) struct Table {
    pub(super) pairs: HashMap<String, Arc<Pair>>,
    pub(super) streams: HashMap<u32, (Arc<Line>, Arc<Pair>)>,
}

impl Table {
    /// Forgets a pair and its streams.
    pub(super) fn remove(&mut self, pair: &Pair) {
        self.pairs.remove(&pair.key);
        let (error, data) = pair.both();
        for line in [error, data].into_iter().flatten() {
            self.streams.remove(&line.id);
        }
    }

    /// The stream with the most bytes queued; `None` when there is no other pair that it could starve.
    pub(super) fn fullest(&self) -> Option<&Arc<Line>> {
        let lines = self.streams.values().map(|(line, _)| line);
        lines.max_by_key(|line| line.inlet.queued()).filter(|_| self.pairs.len() > 1)
    }
}
