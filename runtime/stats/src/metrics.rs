// SPDX-License-Identifier: Apache-2.0
//! The values of [`crate::families`] for a pod and its containers.

use crate::disk::{self, Device};
use crate::families::{self as family, BASE_LABELS, Family};
use crate::filesystem::Fullness;
use crate::group::{Directory, Group, flat_keyed};
use crate::network::Interface;
use crate::processes;
use crate::reader::Stats;
use crate::sample::{self, Depth, Sample};
use crate::subject::{ContainerSubject, PodSubject};
use crate::value::value;
use gorae_kernel::clock;
use gorae_proto::cri::{ContainerMetrics, LinuxContainerResources, Metric, PodSandboxMetrics, PsiStats};
use std::sync::OnceLock;

const SECOND_NS: u64 = 1_000_000_000;
/// CFS period of a container that requested none, in microseconds.
const DEFAULT_PERIOD_US: i64 = 100_000;
/// CPU shares of a container that requested none.
const DEFAULT_SHARES: i64 = 1024;

impl Stats {
    /// Reads all metrics of a pod and of its running containers. Containers whose cgroup is gone are left out.
    pub fn metrics(&self, pod: &PodSubject<'_>, containers: &[ContainerSubject<'_>]) -> PodSandboxMetrics {
        let fullness = self.filesystem.fullness();
        PodSandboxMetrics {
            pod_sandbox_id: pod.id.to_owned(),
            metrics: pod.network.map(|interfaces| network(pod, interfaces)).unwrap_or_default(),
            container_metrics: containers.iter().filter_map(|one| container(self, pod, one, fullness)).collect(),
        }
    }
}

/// Metrics being collected, with the base labels of their subject.
struct Page {
    base: [String; BASE_LABELS.len()],
    metrics: Vec<Metric>,
}

impl Page {
    /// Adds a value; an unknown value is left out.
    fn put(&mut self, family: &'static Family, labels: &[&str], number: impl Into<Option<u64>>) {
        let Some(number) = number.into() else { return };
        debug_assert_eq!(labels.len(), family.labels.len(), "{}", family.name);
        let label_values = self.base.iter().cloned().chain(labels.iter().map(|label| (*label).to_owned())).collect();
        self.metrics.push(Metric {
            name: family.name.to_owned(),
            timestamp: 0,
            metric_type: family.kind.into(),
            label_values,
            value: value(number),
        });
    }
}

fn network(pod: &PodSubject<'_>, interfaces: &[Interface]) -> Vec<Metric> {
    let base = [pod.cgroup, pod.id, "", pod.namespace, pod.name, "POD"].map(str::to_owned);
    let mut page = Page { base, metrics: Vec::with_capacity(8 * interfaces.len()) };
    for Interface { name, received, sent } in interfaces {
        for (family, number) in [
            (&family::RECEIVED_BYTES, received.bytes),
            (&family::RECEIVED_PACKETS, received.packets),
            (&family::RECEIVED_DROPPED, received.dropped),
            (&family::RECEIVED_ERRORS, received.errors),
            (&family::SENT_BYTES, sent.bytes),
            (&family::SENT_PACKETS, sent.packets),
            (&family::SENT_DROPPED, sent.dropped),
            (&family::SENT_ERRORS, sent.errors),
        ] {
            page.put(family, &[name], number);
        }
    }
    page.metrics
}

fn container(
    stats: &Stats,
    pod: &PodSubject<'_>,
    subject: &ContainerSubject<'_>,
    fullness: Option<Fullness>,
) -> Option<ContainerMetrics> {
    let group = Group::new(&stats.hierarchies, subject.cgroup);
    let sample = sample::read(&group, Depth::Metrics)?;
    let base = [subject.cgroup, subject.id, subject.image, pod.namespace, pod.name, subject.name].map(str::to_owned);
    let mut page = Page { base, metrics: Vec::with_capacity(64) };
    cpu(&mut page, &sample);
    memory(&mut page, &sample);
    pressure(&mut page, &sample);
    controllers(&mut page, &group);
    disk::devices(&group).iter().for_each(|device| block_io(&mut page, device));
    layer(&mut page, stats, subject, fullness);
    process(&mut page, &group, &sample, subject);
    spec(&mut page, subject.resources, &sample);
    Some(ContainerMetrics { container_id: subject.id.to_owned(), metrics: page.metrics })
}

fn cpu(page: &mut Page, Sample { cpu, .. }: &Sample) {
    let seconds = |ns: Option<u64>| ns.map(|ns| ns / SECOND_NS);
    page.put(&family::CPU_USAGE, &["total"], seconds(cpu.total_ns));
    page.put(&family::CPU_USER, &[], seconds(cpu.user_ns));
    page.put(&family::CPU_SYSTEM, &[], seconds(cpu.system_ns));
    page.put(&family::CFS_PERIODS, &[], cpu.periods);
    page.put(&family::CFS_THROTTLED_PERIODS, &[], cpu.throttled_periods);
    page.put(&family::CFS_THROTTLED_SECONDS, &[], seconds(cpu.throttled_ns));
}

fn memory(page: &mut Page, Sample { memory, swap, .. }: &Sample) {
    page.put(&family::MEMORY_USAGE, &[], memory.usage);
    page.put(&family::MEMORY_WORKING_SET, &[], memory.working_set());
    page.put(&family::MEMORY_RSS, &[], memory.anonymous);
    page.put(&family::MEMORY_CACHE, &[], memory.cache);
    page.put(&family::MEMORY_MAPPED, &[], memory.mapped);
    page.put(&family::MEMORY_SWAP, &[], swap.usage);
    page.put(&family::MEMORY_KERNEL, &[], memory.kernel);
    for scope in ["container", "hierarchy"] {
        page.put(&family::MEMORY_FAILURES, &["pgfault", scope], memory.faults);
        page.put(&family::MEMORY_FAILURES, &["pgmajfault", scope], memory.major_faults);
    }
}

fn pressure(page: &mut Page, sample: &Sample) {
    let pairs: [(&Option<PsiStats>, _, _); 3] = [
        (&sample.cpu.pressure, &family::CPU_STALLED, &family::CPU_WAITING),
        (&sample.io_pressure, &family::IO_STALLED, &family::IO_WAITING),
        (&sample.memory.pressure, &family::MEMORY_STALLED, &family::MEMORY_WAITING),
    ];
    for (stats, stalled, waiting) in pairs {
        let Some(stats) = stats else { continue };
        page.put(stalled, &[], stats.full.map(|data| data.total / SECOND_NS));
        page.put(waiting, &[], stats.some.map(|data| data.total / SECOND_NS));
    }
}

/// Adds the values that only metrics show, from the controllers' own files.
fn controllers(page: &mut Page, group: &Group<'_>) {
    if group.is_v2() {
        let Some(dir) = group.unified() else { return };
        page.put(&family::MEMORY_MAX_USAGE, &[], dir.number("memory.peak"));
        let events = dir.read("memory.events").unwrap_or_default();
        let count = |wanted| flat_keyed(&events).find(|(key, _)| *key == wanted).map(|(_, count)| count);
        page.put(&family::MEMORY_FAILCNT, &[], count("max"));
        page.put(&family::OOM_EVENTS, &[], count("oom_kill"));
        hugetlb(page, dir, "current", None);
        return;
    }
    if let Some(dir) = group.v1("memory") {
        page.put(&family::MEMORY_MAX_USAGE, &[], dir.number("memory.max_usage_in_bytes"));
        page.put(&family::MEMORY_FAILCNT, &[], dir.number("memory.failcnt"));
        let control = dir.read("memory.oom_control").unwrap_or_default();
        let kills = flat_keyed(&control).find(|(key, _)| *key == "oom_kill").map(|(_, count)| count);
        page.put(&family::OOM_EVENTS, &[], kills);
    }
    match group.v1("hugetlb") {
        Some(dir) => hugetlb(page, dir, "usage_in_bytes", Some("max_usage_in_bytes")),
        // A hybrid machine may have this one controller on the unified side.
        None => group.unified().iter().for_each(|dir| hugetlb(page, dir, "current", None)),
    }
}

fn hugetlb(page: &mut Page, dir: &Directory, usage: &str, highest: Option<&str>) {
    for size in huge_page_sizes() {
        page.put(&family::HUGETLB_USAGE, &[size], dir.number(&format!("hugetlb.{size}.{usage}")));
        let highest = highest.and_then(|file| dir.number(&format!("hugetlb.{size}.{file}")));
        page.put(&family::HUGETLB_MAX_USAGE, &[size], highest);
    }
}

/// The machine's huge page sizes, spelled as in cgroup files: "2MB", "1GB".
fn huge_page_sizes() -> &'static [String] {
    static SIZES: OnceLock<Vec<String>> = OnceLock::new();
    SIZES.get_or_init(|| {
        let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().filter_map(Result::ok);
        entries.filter_map(|entry| page_size(entry.file_name().to_str()?)).collect()
    })
}

/// Source: mm/hugetlb_cgroup.c: the largest unit that divides the size.
fn page_size(entry: &str) -> Option<String> {
    let kib: u64 = entry.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kib {
        _ if kib >= 1 << 20 => format!("{}GB", kib >> 20),
        _ if kib >= 1 << 10 => format!("{}MB", kib >> 10),
        _ => format!("{kib}KB"),
    })
}

fn block_io(page: &mut Page, device: &Device) {
    let path = device.path();
    let (major, minor) = (device.major.to_string(), device.minor.to_string());
    page.put(&family::BLKIO_USAGE, &[&path, &major, &minor, "Read"], device.read_bytes);
    page.put(&family::BLKIO_USAGE, &[&path, &major, &minor, "Write"], device.written_bytes);
    page.put(&family::FS_READ_BYTES, &[&path], device.read_bytes);
    page.put(&family::FS_READS, &[&path], device.reads);
    page.put(&family::FS_WRITTEN_BYTES, &[&path], device.written_bytes);
    page.put(&family::FS_WRITES, &[&path], device.writes);
}

fn layer(page: &mut Page, stats: &Stats, subject: &ContainerSubject<'_>, fullness: Option<Fullness>) {
    let device = stats.filesystem.device.as_str();
    page.put(&family::FS_USAGE, &[device], stats.layers.taken(subject.upper).map(|(taken, _)| taken.bytes));
    page.put(&family::FS_LIMIT, &[device], fullness.map(|fullness| fullness.bytes));
    page.put(&family::FS_INODES, &[device], fullness.map(|fullness| fullness.inodes));
    page.put(&family::FS_INODES_FREE, &[device], fullness.map(|fullness| fullness.free_inodes));
}

fn process(page: &mut Page, group: &Group<'_>, sample: &Sample, subject: &ContainerSubject<'_>) {
    let dir = if group.is_v2() { group.unified() } else { group.v1("pids") };
    if let Some(dir) = dir {
        let pids = dir.processes();
        let held = processes::held(&pids);
        page.put(&family::PROCESSES, &[], pids.len() as u64);
        page.put(&family::FILE_DESCRIPTORS, &[], held.descriptors);
        page.put(&family::SOCKETS, &[], held.sockets);
        page.put(&family::THREADS, &[], sample.tasks);
        let most = dir.number("pids.max").map(|most| if most == u64::MAX { 0 } else { most });
        page.put(&family::THREADS_MAX, &[], most);
    }
    page.put(&family::ULIMITS_SOFT, &["max_open_files"], processes::open_files_limit(subject.pid));
    let seconds = |ns: i64| u64::try_from(ns).ok().map(|ns| ns / SECOND_NS);
    page.put(&family::START_TIME, &[], seconds(subject.started_at_ns));
    page.put(&family::LAST_SEEN, &[], seconds(clock::now_ns()));
}

/// Writes the limits as they were requested, because on v2 shares would have to be guessed from weights. The limit on
/// memory and swap is the kernel's, because a limit on memory alone implies one on swap.
fn spec(page: &mut Page, resources: Option<&LinuxContainerResources>, Sample { memory, swap, .. }: &Sample) {
    let none = LinuxContainerResources::default();
    let resources = resources.unwrap_or(&none);
    let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let or = |number, default: i64| positive(number).unwrap_or(default.unsigned_abs());
    page.put(&family::SPEC_CPU_PERIOD, &[], or(resources.cpu_period, DEFAULT_PERIOD_US));
    page.put(&family::SPEC_CPU_QUOTA, &[], positive(resources.cpu_quota));
    page.put(&family::SPEC_CPU_SHARES, &[], or(resources.cpu_shares, DEFAULT_SHARES));
    page.put(&family::SPEC_MEMORY_LIMIT, &[], or(resources.memory_limit_in_bytes, 0));
    let spared = resources.unified.get("memory.low").and_then(|low| low.parse::<u64>().ok());
    page.put(&family::SPEC_MEMORY_RESERVATION, &[], spared.unwrap_or(0));
    let both = memory.limit.zip(swap.limit).map_or(0, |(memory, swap)| memory.saturating_add(swap));
    page.put(&family::SPEC_MEMORY_SWAP_LIMIT, &[], both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_named_as_the_kernel_names_their_files() {
        assert_eq!(page_size("hugepages-2048kB").as_deref(), Some("2MB"));
        assert_eq!(page_size("hugepages-1048576kB").as_deref(), Some("1GB"));
        assert_eq!(page_size("hugepages-64kB").as_deref(), Some("64KB"));
        assert_eq!(page_size("other"), None);
    }
}
