// SPDX-License-Identifier: Apache-2.0
//! The order itself.

use crate::devices::{Device, DeviceRule};
use crate::hooks::Hook;
use crate::mounts::{Mount, Propagation};
use crate::namespaces::{IdMaps, Namespaces};
use crate::process::Process;
use crate::resources::Resources;
use std::collections::HashMap;
use std::path::PathBuf;

/// Everything that is needed to make one container. Long values (variables, annotations, layers) are borrowed from its
/// record.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The directory of its state and socket, which does not survive a reboot; absolute.
    pub run_dir: String,
    /// The directory of its writable layer and volumes, which survives a reboot; absolute.
    pub root_dir: String,
    /// The root file system.
    pub root: Root<'a>,
    /// The first process.
    pub process: Process<'a>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// The id maps of its user namespace; `None` in the node's.
    pub id_maps: Option<IdMaps>,
    /// Mounts, in the order in which they are made.
    pub mounts: Vec<Mount<'a>>,
    /// Device nodes, with no path twice.
    pub devices: Vec<Device>,
    /// Rules for access to devices: the last matching rule decides.
    pub device_rules: Vec<DeviceRule>,
    /// Paths that are masked, absolute; missing ones are skipped.
    pub masked_paths: Vec<String>,
    /// Paths that are made read-only with everything below, absolute; missing ones are skipped.
    pub readonly_paths: Vec<String>,
    /// Its cgroup below each mount point, with a leading slash.
    pub cgroup: &'a str,
    /// Its limits.
    pub resources: Resources,
    /// Sysctls of the pod's namespaces: dotted names and values. They are set when the pod is made.
    pub sysctls: Vec<(String, String)>,
    /// Hooks, in order for each point.
    pub hooks: Vec<Hook<'a>>,
    /// Its host name; `None` for the node's.
    pub hostname: Option<String>,
    /// Annotations of the request.
    pub annotations: &'a HashMap<String, String>,
    /// The path of its log, absolute; `None`: output is dropped.
    pub log: Option<&'a str>,
    /// Its standard input.
    pub stdin: Stdin,
    /// The number of the signal that asks it to stop.
    pub stop_signal: i32,
}

/// The root file system: layers of an image below a writable layer.
#[derive(Debug, Clone)]
pub struct Root<'a> {
    /// Directories of the layers, the top one first; absolute.
    pub layers: &'a [PathBuf],
    /// Whether the root itself is read-only.
    pub readonly: bool,
    /// The propagation that the mounts below need from it.
    pub propagation: Propagation,
    /// Directories that are made in the writable layer if they are missing: the volumes that the image declares.
    pub directories: &'a [String],
}

/// The kind of standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// It is always at its end.
    Empty,
    /// It stays open for attachments.
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
