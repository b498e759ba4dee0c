// SPDX-License-Identifier: Apache-2.0
//! Where cgroups are mounted on this machine.

use crate::malformed::{Malformed, Result, absolute, each, non_empty};
use crate::wire::{CgroupLayout, V1Hierarchy};
use std::path::PathBuf;

/// A checked [`CgroupLayout`].
#[derive(Debug, Clone)]
pub struct Layout {
    /// Where cgroup2 is mounted: the only mount on v2, next to the hierarchies on v1.
    pub unified: Option<PathBuf>,
    /// The v1 hierarchies; empty where v2 has the controllers.
    pub hierarchies: Vec<Hierarchy>,
    /// Whether the cgroup2 mount has the controllers.
    pub is_v2: bool,
}

/// A v1 hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its controllers: "cpu", "cpuacct"; "name=systemd" for a hierarchy without controllers.
    pub controllers: Vec<String>,
}

impl Layout {
    /// Checks the message.
    ///
    /// # Errors
    /// For a mount point that is not an absolute path, and for a v1 hierarchy without controllers.
    pub fn checked(layout: CgroupLayout) -> Result<Self> {
        let unified = non_empty(layout.unified).map(|path| absolute("unified", path)).transpose()?.map(PathBuf::from);
        let is_v2 = unified.is_some() && layout.unified_has_controllers;
        let hierarchies = if is_v2 { Vec::new() } else { each("v1", layout.v1, hierarchy)? };
        Ok(Self { unified, hierarchies, is_v2 })
    }
}

fn hierarchy(v1: V1Hierarchy) -> Result<Hierarchy> {
    if v1.controllers.is_empty() {
        return Err(Malformed::new("controllers", "is empty"));
    }
    Ok(Hierarchy { mount_point: absolute("mount_point", v1.mount_point)?.into(), controllers: v1.controllers })
}
