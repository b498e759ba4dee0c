// SPDX-License-Identifier: Apache-2.0
//! The pods and containers whose metrics are requested, as their records describe them.

use crate::network::Interface;
use gorae_proto::cri::LinuxContainerResources;
use std::path::Path;

/// A pod whose metrics are requested.
#[derive(Debug, Clone, Copy)]
pub struct PodSubject<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// Its name in the metadata.
    pub name: &'a str,
    /// Its name in the metadata.
    pub namespace: &'a str,
    /// Path of its cgroup below each mount point.
    pub cgroup: &'a str,
    /// From [`interfaces_of_pods`](crate::interfaces_of_pods); `None` for the host's network.
    pub network: Option<&'a [Interface]>,
}

/// A running container whose metrics are requested.
#[derive(Debug, Clone, Copy)]
pub struct ContainerSubject<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// Its name in the metadata.
    pub name: &'a str,
    /// As ContainerStatus shows it.
    pub image: &'a str,
    /// Path of its cgroup below each mount point.
    pub cgroup: &'a str,
    /// Directory of the writable layer.
    pub upper: &'a Path,
    /// Its first process, in the daemon's pid namespace.
    pub pid: u32,
    /// When it was started: wall clock, in nanoseconds.
    pub started_at_ns: i64,
    /// The limits in force.
    pub resources: Option<&'a LinuxContainerResources>,
}
