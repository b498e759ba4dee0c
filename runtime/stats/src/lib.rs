// SPDX-License-Identifier: Apache-2.0
//! Usage numbers of containers and pods, read from the kernel when they are asked for.
//!
//! Owns the reading and its formulas; keeps nothing but the last CPU reading of each cgroup and the last count of
//! each writable layer. Never asks a shim, never samples by itself: nothing runs at rest. A cgroup that is gone gives
//! `None`, never an error. What the kernel does not say is left unset, never 0.
//!
//! Everything here blocks for some 0.1 ms a container: call it from a blocking thread, once for a whole list.
//!
//! ```text
//! working set   usage − inactive page cache          v2: memory.current, inactive_file   v1: total_inactive_file
//! available     limit − working set, unset without a limit
//! rss           anonymous memory                     v2: anon                            v1: total_rss
//! cpu           v2: usage_usec × 1000                v1: cpuacct.usage
//! pressure      unified hierarchy, also of a hybrid machine; µs × 1000
//! ```

mod disk;
mod families;
mod filesystem;
mod group;
mod layer;
mod metrics;
mod network;
mod pressure;
mod processes;
mod rate;
mod sample;
#[cfg(test)]
mod tests;
mod walk;

pub use families::descriptors;
pub use network::{Direction, Interface, of_pods as interfaces_of_pods, usage as network_usage};

use filesystem::Filesystem;
use gorae_cgroups::Hierarchies;
use gorae_kernel::clock;
use gorae_proto::cri;
use group::Group;
use sample::{Depth, Sample};
use std::path::Path;
use std::sync::Arc;

/// The reader of usage numbers. One for the daemon.
#[derive(Debug)]
pub struct Stats {
    hierarchies: Arc<Hierarchies>,
    filesystem: Filesystem,
    layers: layer::Layers,
    rates: rate::Rates,
}

/// A pod whose metrics are wanted.
#[derive(Debug, Clone, Copy)]
pub struct PodSubject<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// From the metadata.
    pub name: &'a str,
    /// From the metadata.
    pub namespace: &'a str,
    /// Below each mount point.
    pub cgroup: &'a str,
    /// From [`interfaces_of_pods`]; `None` for the host's network.
    pub network: Option<&'a [Interface]>,
}

/// A running container whose metrics are wanted.
#[derive(Debug, Clone, Copy)]
pub struct ContainerSubject<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// From the metadata.
    pub name: &'a str,
    /// As ContainerStatus shows it.
    pub image: &'a str,
    /// Below each mount point.
    pub cgroup: &'a str,
    /// The writable layer.
    pub upper: &'a Path,
    /// The first process, in the daemon's pid namespace.
    pub pid: u32,
    /// Wall clock, nanoseconds.
    pub started_at_ns: i64,
    /// In force.
    pub resources: Option<&'a cri::LinuxContainerResources>,
}

impl Stats {
    /// A reader for a machine; `root` is the directory that holds the writable layers.
    pub fn new(hierarchies: Arc<Hierarchies>, root: &Path) -> Self {
        let filesystem = Filesystem::of(root);
        Self { hierarchies, filesystem, layers: layer::Layers::default(), rates: rate::Rates::default() }
    }

    /// Reads a running container; `None` when its cgroup is gone.
    ///
    /// - Shapes: `cgroup` is the container's path below each mount point, `upper` its writable layer. That part is
    ///   unset while a large layer is counted for the first time, and up to 10 s old (and the counting time) else.
    pub fn container(
        &self,
        attributes: cri::ContainerAttributes,
        cgroup: &str,
        upper: &Path,
    ) -> Option<cri::ContainerStats> {
        let now = clock::now_ns();
        let sample = sample::read(&Group::new(&self.hierarchies, cgroup), Depth::Stats)?;
        Some(cri::ContainerStats {
            attributes: Some(attributes),
            cpu: self.cpu(cgroup, now, &sample),
            memory: memory(now, &sample),
            writable_layer: self.layer(upper),
            swap: swap(now, &sample),
            io: sample.io_pressure.map(|psi| cri::IoUsage { timestamp: now, psi: Some(psi) }),
        })
    }

    /// What there is to say of a container that does not run: its writable layer.
    pub fn stopped_container(&self, attributes: cri::ContainerAttributes, upper: &Path) -> cri::ContainerStats {
        let writable_layer = self.layer(upper);
        cri::ContainerStats { attributes: Some(attributes), writable_layer, ..cri::ContainerStats::default() }
    }

    /// Reads a pod; `None` when its cgroup is gone. `network` is made by [`network_usage`].
    pub fn pod(
        &self,
        attributes: cri::PodSandboxAttributes,
        cgroup: &str,
        network: Option<cri::NetworkUsage>,
        containers: Vec<cri::ContainerStats>,
    ) -> Option<cri::PodSandboxStats> {
        let now = clock::now_ns();
        let sample = sample::read(&Group::new(&self.hierarchies, cgroup), Depth::Stats)?;
        let process = sample.tasks.map(|tasks| cri::ProcessUsage { timestamp: now, process_count: value(tasks) });
        let linux = cri::LinuxPodSandboxStats {
            cpu: self.cpu(cgroup, now, &sample),
            memory: memory(now, &sample),
            network,
            process,
            containers,
            io: sample.io_pressure.map(|psi| cri::IoUsage { timestamp: now, psi: Some(psi) }),
        };
        Some(cri::PodSandboxStats { attributes: Some(attributes), linux: Some(linux), windows: None })
    }

    /// Reads all metrics of a pod and of those of its running containers that are still there.
    pub fn metrics(&self, pod: &PodSubject<'_>, containers: &[ContainerSubject<'_>]) -> cri::PodSandboxMetrics {
        metrics::read(self, pod, containers)
    }

    /// Drops what is kept of a removed container.
    pub fn forget(&self, upper: &Path) {
        self.layers.forget(upper);
    }

    fn cpu(&self, cgroup: &str, now: i64, sample: &Sample) -> Option<cri::CpuUsage> {
        let total = sample.cpu.total_ns?;
        Some(cri::CpuUsage {
            timestamp: now,
            usage_core_nano_seconds: value(total),
            usage_nano_cores: self.rates.take(cgroup, now, total).and_then(value),
            psi: sample.cpu.pressure,
        })
    }

    fn layer(&self, upper: &Path) -> Option<cri::FilesystemUsage> {
        let (taken, timestamp) = self.layers.taken(upper)?;
        Some(cri::FilesystemUsage {
            timestamp,
            fs_id: Some(cri::FilesystemIdentifier { mountpoint: self.filesystem.mount_point.clone() }),
            used_bytes: value(taken.bytes),
            inodes_used: value(taken.inodes),
        })
    }
}

fn memory(now: i64, Sample { memory, .. }: &Sample) -> Option<cri::MemoryUsage> {
    Some(cri::MemoryUsage {
        timestamp: now,
        working_set_bytes: memory.working_set().and_then(value),
        available_bytes: memory.available().and_then(value),
        usage_bytes: Some(cri::UInt64Value { value: memory.usage? }),
        rss_bytes: memory.anonymous.and_then(value),
        page_faults: memory.faults.and_then(value),
        major_page_faults: memory.major_faults.and_then(value),
        psi: memory.pressure,
    })
}

fn swap(now: i64, Sample { swap, .. }: &Sample) -> Option<cri::SwapUsage> {
    let usage = swap.usage?;
    let available = swap.limit.map(|limit| limit.saturating_sub(usage));
    Some(cri::SwapUsage {
        timestamp: now,
        swap_available_bytes: available.and_then(value),
        swap_usage_bytes: value(usage),
    })
}

/// A known value in the CRI's wrapper.
fn value(value: u64) -> Option<cri::UInt64Value> {
    Some(cri::UInt64Value { value })
}
