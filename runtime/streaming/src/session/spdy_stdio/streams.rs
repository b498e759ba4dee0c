// SPDX-License-Identifier: Apache-2.0
//! The streams of a process, and the state that the reader and the session share.

use crate::session::inlet::Inlet;
use crate::session::link::Link;
use crate::session::outlet::{Outlet, SharedSession};
use crate::session::sizes::Sizes;
use crate::session::task::Task;
use crate::spdy::fault::Fault;
use crate::spdy::session::Session;
use crate::websocket::protocol::Version;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const MAX_STREAMS: usize = 8;

/// Streams of a session, in the order of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Stdin,
    Stdout,
    Stderr,
    Resize,
}

pub(super) const NAMES: [(&str, Kind); 5] = [
    ("error", Kind::Error),
    ("stdin", Kind::Stdin),
    ("stdout", Kind::Stdout),
    ("stderr", Kind::Stderr),
    ("resize", Kind::Resize),
];

/// A stream that was opened.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) id: u32,
    pub(super) closed: CancellationToken,
}

/// The state that the reader and the session share.
pub(super) struct Streams {
    pub(super) session: SharedSession,
    pub(super) wanted: [bool; 5],
    pub(super) open: Mutex<[Option<Open>; 5]>,
    pub(super) complete: Notify,
    pub(super) stdin: Inlet,
    pub(super) resize: Sizes,
    pub(super) fault: Mutex<Option<Fault>>,
}

impl Streams {
    pub(super) fn new(link: &Link, task: &Task, version: Version) -> Self {
        let [stdin, stdout, stderr] = task.streams();
        Self {
            session: Mutex::new(Session::server(MAX_STREAMS)),
            wanted: [true, stdin, stdout, stderr, task.tty() && version >= Version::V3],
            open: Mutex::default(),
            complete: Notify::new(),
            stdin: Inlet::new(&link.gauge),
            resize: Sizes::default(),
            fault: Mutex::default(),
        }
    }

    /// Whether this is the id of the stream of that kind.
    pub(super) fn is(&self, kind: Kind, id: u32) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open[kind as usize].as_ref().is_some_and(|open| open.id == id)
    }

    /// Our side of a stream; `None`: the client has not opened it.
    pub(super) fn outlet<'l>(&'l self, link: &'l Link, kind: Kind) -> Option<Outlet<'l>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { id, closed } = open[kind as usize].clone()?;
        Some(Outlet::Spdy { link, session: &self.session, id, closed })
    }
}
