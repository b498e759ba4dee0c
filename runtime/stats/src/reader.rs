// SPDX-License-Identifier: Apache-2.0
//! The reader: the CRI's stats of containers and pods.

use crate::filesystem::Filesystem;
use crate::group::Group;
use crate::layer::Layers;
use crate::rate::Rates;
use crate::sample::{self, Depth, Sample};
use crate::value::value;
use gorae_cgroups::Hierarchies;
use gorae_kernel::clock;
use gorae_proto::cri;
use std::path::Path;
use std::sync::Arc;

/// The reader of usage numbers. A daemon has one.
#[derive(Debug)]
pub struct Stats {
    pub(super) hierarchies: Arc<Hierarchies>,
    pub(super) filesystem: Filesystem,
    pub(super) layers: Layers,
    rates: Rates,
}

impl Stats {
    /// Makes the reader of a machine. `root` is the directory that holds the writable layers.
    pub fn new(hierarchies: Arc<Hierarchies>, root: &Path) -> Self {
        let filesystem = Filesystem::of(root);
        Self { hierarchies, filesystem, layers: Layers::default(), rates: Rates::default() }
    }

    /// Reads a running container; `None` when its cgroup is gone.
    ///
    /// - Shapes: `cgroup` is the container's path below each mount point, `upper` its writable layer. The layer's usage
    ///   is unset while a large layer is counted for the first time; otherwise it is up to 10 s old, plus the time that
    ///   counting takes.
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

    /// Reads a container that is not running: it has only its writable layer.
    pub fn stopped_container(&self, attributes: cri::ContainerAttributes, upper: &Path) -> cri::ContainerStats {
        let writable_layer = self.layer(upper);
        cri::ContainerStats { attributes: Some(attributes), writable_layer, ..cri::ContainerStats::default() }
    }

    /// Reads a pod; `None` when its cgroup is gone. `network` is made by
    /// [`network_usage`](crate::network_usage).
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

    /// Drops the cached count of a removed container.
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
