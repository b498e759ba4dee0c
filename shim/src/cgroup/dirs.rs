// SPDX-License-Identifier: Apache-2.0
//! A cgroup's open directories in all hierarchies.

use super::dir::Dir;
use std::ffi::OsString;

/// The directories of one cgroup.
#[derive(Debug)]
pub struct Dirs {
    /// In the cgroup2 mount, when there is one.
    pub unified: Option<Dir>,
    /// In the v1 hierarchies; empty where v2 has the controllers.
    pub v1: Vec<V1>,
    /// Whether the cgroup2 mount has the controllers.
    pub is_v2: bool,
}

/// A directory in a v1 hierarchy.
#[derive(Debug)]
pub struct V1 {
    /// The directory itself.
    pub dir: Dir,
    /// The name of the hierarchy's mount point, as under /sys/fs/cgroup.
    pub mount: OsString,
    /// The controllers of the hierarchy: "cpu", "cpuacct"; "name=systemd" for a hierarchy without controllers.
    pub controllers: Vec<String>,
}

impl Dirs {
    /// The directory that holds `controller`'s files; on v2 it is always the same one.
    pub fn controller(&self, controller: &str) -> Option<&Dir> {
        if self.is_v2 {
            return self.unified.as_ref();
        }
        let v1 = self.v1.iter().find(|v1| v1.controllers.iter().any(|c| c == controller));
        v1.map(|v1| &v1.dir)
    }

    /// Every directory.
    pub fn all(&self) -> impl Iterator<Item = &Dir> {
        self.unified.iter().chain(self.v1.iter().map(|v1| &v1.dir))
    }
}
