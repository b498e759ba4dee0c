// SPDX-License-Identifier: Apache-2.0
//! The whole order.

use crate::devices::{Device, DeviceRule};
use crate::hooks::Hook;
use crate::mounts::{Mount, Propagation};
use crate::namespaces::{IdMaps, Namespaces};
use crate::process::Process;
use crate::resources::Resources;
use std::collections::HashMap;
use std::path::PathBuf;

/// Everything that makes one container. What is long (variables, annotations, layers) is borrowed from its record.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The directory of its state and socket, which goes at a restart of the machine; absolute.
    pub run_dir: String,
    /// The directory of its writable layer and volumes, which stays; absolute.
    pub root_dir: String,
    /// The root file system.
    pub root: Root<'a>,
    /// The first process.
    pub process: Process<'a>,
    /// Which namespaces it is in.
    pub namespaces: Namespaces,
    /// The ids of its user namespace; `None` in the node's.
    pub id_maps: Option<IdMaps>,
    /// Mounts, in the order in which they are made.
    pub mounts: Vec<Mount<'a>>,
    /// Device nodes. No path is there twice.
    pub devices: Vec<Device>,
    /// What it may do with devices: the last rule that fits decides.
    pub device_rules: Vec<DeviceRule>,
    /// Paths that are covered, absolute; those that are missing are skipped.
    pub masked_paths: Vec<String>,
    /// Paths that are made read-only with everything below, absolute; those that are missing are skipped.
    pub readonly_paths: Vec<String>,
    /// Its cgroup below each mount point, with a leading slash.
    pub cgroup: &'a str,
    /// Its limits.
    pub resources: Resources,
    /// Kernel settings of the pod's namespaces: dotted names and values. They are set when the pod is made.
    pub sysctls: Vec<(String, String)>,
    /// Programs that run at points of its life, each point's in order.
    pub hooks: Vec<Hook<'a>>,
    /// The host name that it sees; `None` for the node's.
    pub hostname: Option<String>,
    /// Annotations of the request.
    pub annotations: &'a HashMap<String, String>,
    /// The file of its log, absolute; `None`: output is dropped.
    pub log: Option<&'a str>,
    /// Its standard input.
    pub stdin: Stdin,
    /// The number of the signal that asks it to end.
    pub stop_signal: i32,
}

/// The root file system: layers of an image under a writable one.
#[derive(Debug, Clone)]
pub struct Root<'a> {
    /// Directories of the layers, the top one first; absolute.
    pub layers: &'a [PathBuf],
    /// Whether the root itself cannot be written to.
    pub readonly: bool,
    /// What the mounts below need of it.
    pub propagation: Propagation,
    /// Directories that are made in the writable layer where they are missing: the volumes that the image declares.
    pub directories: &'a [String],
}

/// What becomes of the standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing is ever to be read from it.
    Empty,
    /// It stays open for those who attach.
    Open,
    /// It ends with the first attachment.
    Once,
}

impl Order<'_> {
    /// The directory that hooks find as the OCI bundle.
    pub fn bundle(&self) -> String {
        crate::hooks::bundle(&self.run_dir)
    }
}
