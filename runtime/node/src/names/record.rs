// SPDX-License-Identifier: Apache-2.0
//! A pod's record of its name server, `STATE/pods/ID/names`: the port of its sockets, and whether they were handed over.
//!
//! The second is false while sockets are opened. Nobody knows then whether the translation in the pod leads to the sockets
//! that the name server has, which may be those of another try.

use crate::ids;
use crate::places::Places;
use crate::records;
use serde::{Deserialize, Serialize};

/// Kind and file name of the record.
const KIND: &str = "names";
const VERSION: u32 = 1;

/// The record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The port of the last time; 0: none that is worth being asked for again.
    pub(super) port: u16,
    /// Whether the name server has the sockets that were opened last.
    pub(super) handed_over: bool,
}

impl Record {
    /// What is recorded of a pod; nothing when that cannot be read: all that is lost then is a port.
    pub(super) fn of(places: &Places, pod: &str) -> Self {
        // The name server's list of pods is as little to be trusted with a path as a client's.
        let Some(id) = ids::PodId::parse(pod) else { return Self::default() };
        let read = records::read(&places.pod_run(&id).join(KIND), KIND, VERSION);
        let read = read.inspect_err(|error| tracing::debug!(%error, "the pod gets another port for its name server"));
        read.ok().flatten().unwrap_or_default()
    }

    /// Records this.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn write(self, places: &Places, pod: &ids::PodId) -> crate::error::Result<()> {
        records::write(&places.pod_run(pod), KIND, KIND, VERSION, &self)
    }
}
