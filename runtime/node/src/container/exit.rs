// SPDX-License-Identifier: Apache-2.0
//! The end of a container: its exit code, its times and its reason.

use crate::clock;
use gorae_proto::shim;
use gorae_proto::state::{START_ERROR, UNKNOWN, UNKNOWN_CODE};
use serde::{Deserialize, Serialize};

/// The user and groups that the process runs as, as the shim found them in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// The supplementary groups, including the primary one.
    pub gids: Vec<u32>,
}

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, 0..255; 128 + n after signal n.
    pub code: i32,
    /// The reason for the end.
    pub reason: Reason,
    /// Human-readable text; empty when the code is sufficient.
    pub message: String,
    /// Wall clock, nanoseconds; `None` when it never ran.
    pub started_at: Option<i64>,
    /// Wall clock, nanoseconds.
    pub finished_at: i64,
    /// The user and groups that it ran as; `None` when it never ran.
    pub identity: Option<Identity>,
}

/// A time on the wire, where 0 means none.
pub fn time(ns: i64) -> Option<i64> {
    (ns > 0).then_some(ns)
}

impl Identity {
    /// Reads the shim's record of it.
    pub fn from_shim(state: &shim::ContainerState) -> Self {
        Self { uid: state.uid, gid: state.gid, gids: state.gids.clone() }
    }
}

impl Exit {
    /// The end that the shim recorded.
    pub fn from_shim(state: &shim::ContainerState) -> Self {
        let started_at = time(state.started_at_ns);
        Self {
            code: state.exit_code,
            reason: Reason::of(state),
            message: state.message.clone(),
            started_at,
            finished_at: state.finished_at_ns.max(1),
            identity: started_at.map(|_| Identity::from_shim(state)),
        }
    }

    /// An end that nobody observed, noticed now.
    pub fn lost(started_at: Option<i64>, why: &str) -> Self {
        Self {
            code: UNKNOWN_CODE,
            reason: Reason::Unknown,
            message: why.into(),
            started_at,
            finished_at: clock::now_ns(),
            identity: None,
        }
    }
}

/// Why a container ended: the CRI's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Exit code 0.
    Completed,
    /// Any other exit code.
    Error,
    /// The kernel killed it because memory ran out.
    #[serde(rename = "OOMKilled")]
    OomKilled,
    /// It never ran.
    StartError,
    /// Nobody observed the end.
    Unknown,
}

impl Reason {
    /// The word that CRI clients know.
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::OomKilled => "OOMKilled",
            Self::StartError => START_ERROR,
            Self::Unknown => UNKNOWN,
        }
    }

    /// The reason that the shim reported, or else the one that follows from exit code and OOM kill.
    fn of(state: &shim::ContainerState) -> Self {
        match (state.reason.as_str(), state.oom_killed, state.exit_code) {
            (START_ERROR, ..) => Self::StartError,
            (UNKNOWN, ..) => Self::Unknown,
            (_, true, _) => Self::OomKilled,
            (_, false, 0) => Self::Completed,
            (_, false, _) => Self::Error,
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::shim::container_state::Phase;

    #[test]
    fn the_reason_follows_from_code_and_oom() {
        let exit = |code, oom_killed, reason: &str| {
            let state = shim::ContainerState {
                phase: Phase::Exited.into(),
                exit_code: code,
                oom_killed,
                reason: reason.into(),
                ..Default::default()
            };
            Exit::from_shim(&state).reason.word()
        };
        assert_eq!(exit(0, false, ""), "Completed");
        assert_eq!(exit(3, false, ""), "Error");
        assert_eq!(exit(137, true, ""), "OOMKilled");
        assert_eq!(exit(128, false, "StartError"), "StartError");
    }
}
