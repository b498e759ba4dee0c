// SPDX-License-Identifier: Apache-2.0
//! Facts that never change while the daemon runs: its directories, the machine's features, and how shims are started.

use crate::open_files::OpenFiles;
use crate::places::Places;
use gorae_cgroups::Hierarchies;
use gorae_proto::shim::{CgroupLayout, CgroupPlace};
use gorae_shims::{DevicePrograms, Spawner};
use std::sync::Arc;

/// The machine as this daemon found it.
#[derive(Debug)]
pub struct Machine {
    /// Our directories.
    pub places: Places,
    /// The cgroup layout.
    pub layout: CgroupLayout,
    /// The mounted hierarchies, held open.
    pub hierarchies: Arc<Hierarchies>,
    /// The kernel's id of this boot. A process that was started in another boot is dead.
    pub boot_id: String,
    /// The limit of open files that containers get.
    pub open_files: OpenFiles,
    /// Starts shims.
    pub spawner: Spawner,
    /// The device programs that shims have loaded.
    pub device_programs: DevicePrograms,
}

impl Machine {
    /// A cgroup in the wire format; `path` is below each mount point.
    pub fn cgroup(&self, path: impl Into<String>) -> CgroupPlace {
        CgroupPlace { layout: Some(self.layout.clone()), path: path.into() }
    }
}

/// A machine for tests: it has no cgroups, and its directories are below `dir`. `dir/shim` is the program of its shims.
#[cfg(test)]
pub(crate) fn test_machine(dir: &std::path::Path) -> Machine {
    let places = Places { root: dir.join("root"), state: dir.join("state") };
    places.prepare().expect("directories");
    let layout = CgroupLayout::default();
    Machine {
        places,
        hierarchies: Arc::new(Hierarchies::new(&layout, Vec::new()).expect("none to mount")),
        layout,
        boot_id: "boot".into(),
        open_files: OpenFiles { soft: 1024, hard: 4096 },
        spawner: Spawner::by_path(dir.join("shim")),
        device_programs: DevicePrograms::default(),
    }
}
