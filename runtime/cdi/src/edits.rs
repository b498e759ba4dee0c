// SPDX-License-Identifier: Apache-2.0
//! The merged edits of all devices of a container.

use super::spec::{ContainerEdits, DeviceNode, Hook, Mount};
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The merged edits, as they are kept in the container's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// Variables, as `NAME=VALUE`; the last one of a name wins.
    pub env: Vec<String>,
    /// Device nodes; the last one at a path wins.
    pub device_nodes: Vec<DeviceNode>,
    /// Mounts; the last one at a path wins.
    pub mounts: Vec<Mount>,
    /// Hooks, in order.
    pub hooks: Vec<Hook>,
    /// Supplementary groups.
    pub gids: Vec<u32>,
    #[serde(skip)]
    moves_interfaces: bool,
    #[serde(skip)]
    wants_rdt: bool,
}

impl Edits {
    /// Adds the edits of a device, or of a file as a whole.
    pub(super) fn add(&mut self, more: &ContainerEdits) {
        self.env.extend(more.env.iter().cloned());
        self.device_nodes.extend(more.device_nodes.iter().cloned());
        self.mounts.extend(more.mounts.iter().cloned());
        self.hooks.extend(more.hooks.iter().cloned());
        // In this format 0 means "none", as in the tools that write it.
        self.gids.extend(more.additional_gids.iter().filter(|&&gid| gid != 0));
        self.moves_interfaces |= !more.net_devices.is_empty();
        self.wants_rdt |= more.intel_rdt.is_some();
    }

    /// Refuses edits that cannot be made here: without them the container would differ from what the vendor's file promises.
    pub(super) fn check_node(&self) -> Result<()> {
        let refused = |kind, why: &str| Err(Error::new(kind, format!("CDI edits: {why}")));
        if self.moves_interfaces {
            return refused(Kind::Unsupported, "netDevices: this version cannot move host interfaces into a container");
        }
        if self.wants_rdt && !Path::new("/sys/fs/resctrl/schemata").exists() {
            let why = "intelRdt: this node has no resctrl file system at /sys/fs/resctrl";
            return refused(Kind::Conflict, why);
        }
        if self.wants_rdt {
            return refused(Kind::Unsupported, "intelRdt: this version cannot put a container into a resctrl group");
        }
        Ok(())
    }

    /// Whether any hook runs at that point of a container's life.
    pub fn has_hook(&self, name: &str) -> bool {
        self.hooks.iter().any(|hook| hook.hook_name == name)
    }
}
