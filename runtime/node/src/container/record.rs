// SPDX-License-Identifier: Apache-2.0
//! The container's record on disk (the request, and what it was resolved to), and the shim's record of its state.

use crate::disposable::PlainData;
use crate::error::Result;
use crate::ids::{ContainerId, PodId};
use crate::records;
use gorae_proto::cri;
use gorae_proto::{shim, state};
use prost::Message;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the container record.
pub const RECORD_VERSION: u32 = 1;
/// Kind of the container record.
pub const RECORD_KIND: &str = "container";

/// The shim's state record below a container's run directory; `None` when there is none.
///
/// # Errors
/// As [`records::read`].
pub fn read_state(run_dir: &Path) -> Result<Option<shim::ContainerState>> {
    records::read_with(&run_dir.join(state::KIND), state::KIND, state::VERSION, |body| {
        shim::ContainerState::decode(body)
    })
}

/// The request, and what it was resolved to. Only UpdateContainerResources changes it, and only the resources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Also the name of its directory.
    pub id: ContainerId,
    /// The pod that it belongs to.
    pub pod_id: PodId,
    /// The request; its `linux.resources` are the limits now in force.
    pub config: cri::ContainerConfig,
    /// Wall clock, nanoseconds.
    pub created_at: i64,
    /// The image as it was at create; it may be removed later.
    pub image: Image,
    /// Command, environment and so on, with the image's defaults filled in.
    pub process: Process,
    /// Absolute path of the log, if it has one.
    pub log_path: Option<String>,
    /// The container's cgroup, below each mount point.
    pub cgroup: String,
    /// The request's image volumes, by index of the mount.
    pub image_mounts: Vec<ImageMount>,
    /// The request's original `linux.resources`, if they have been changed since.
    #[serde(default)]
    pub first_resources: Option<cri::ContainerResources>,
    /// The edits of its CDI devices; their variables are already in `process`.
    #[serde(default)]
    pub cdi: gorae_cdi::Edits,
}

/// Text, numbers and paths.
impl PlainData for Record {}

/// The image of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of the image config.
    pub id: String,
    /// `repository@digest`, or the id when no digest is known.
    pub reference: String,
    /// The first tag, or the name in the request.
    pub name: String,
    /// Layer directories, top first.
    pub layers: Vec<PathBuf>,
}

/// An image that is mounted as a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageMount {
    /// Index in the request's mounts.
    pub index: usize,
    /// The image's id.
    pub id: String,
    /// Layer directories, top first.
    pub layers: Vec<PathBuf>,
}

/// The process, resolved from request and image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// The command and its arguments; at least one.
    pub args: Vec<String>,
    /// The environment as `KEY=VALUE`; values are bytes.
    pub env: Vec<Vec<u8>>,
    /// The working directory, absolute.
    pub cwd: String,
    /// The user, by name or number; root if it is not set.
    pub user: Option<String>,
    /// The group, by name or number; the user's own if it is not set.
    pub group: Option<String>,
    /// The number of the signal that asks it to end.
    pub stop_signal: i32,
    /// Paths that the image declares as volumes.
    pub volumes: Vec<String>,
}
