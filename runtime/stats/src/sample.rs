// SPDX-License-Identifier: Apache-2.0
//! One reading of a cgroup, in terms that v1 and v2 share.
//!
//! A value that this kernel does not report is `None`: an unknown value is never 0.

use super::group::{Directory, Group, flat_keyed};
use super::pressure;
use gorae_proto::cri::PsiStats;

/// A v1 limit of this size or more means "no limit": the kernel reports that as a huge page-aligned number.
const V1_UNLIMITED: u64 = 1 << 62;

/// Usage of a cgroup and everything below it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
    pub(super) swap: Swap,
    pub(super) io_pressure: Option<PsiStats>,
    /// Number of tasks, that is, threads.
    pub(super) tasks: Option<u64>,
}

/// CPU time, in nanoseconds.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Cpu {
    pub(super) total_ns: Option<u64>,
    pub(super) user_ns: Option<u64>,
    pub(super) system_ns: Option<u64>,
    pub(super) periods: Option<u64>,
    pub(super) throttled_periods: Option<u64>,
    pub(super) throttled_ns: Option<u64>,
    pub(super) pressure: Option<PsiStats>,
}

/// Memory, in bytes and counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Memory {
    pub(super) usage: Option<u64>,
    /// `None` also when unlimited.
    pub(super) limit: Option<u64>,
    pub(super) inactive_file: Option<u64>,
    pub(super) anonymous: Option<u64>,
    pub(super) cache: Option<u64>,
    pub(super) mapped: Option<u64>,
    pub(super) kernel: Option<u64>,
    pub(super) faults: Option<u64>,
    pub(super) major_faults: Option<u64>,
    pub(super) pressure: Option<PsiStats>,
}

impl Memory {
    /// The working set, which cannot be reclaimed at once: usage less inactive page cache.
    pub(super) fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.inactive_file.unwrap_or(0)))
    }

    /// Memory left below the limit; `None` without a limit.
    pub(super) fn available(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.working_set()?))
    }
}

/// Swap space, in bytes.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Swap {
    pub(super) usage: Option<u64>,
    /// `None` also when unlimited.
    pub(super) limit: Option<u64>,
}

/// Which parts of a sample to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The values that stats messages show.
    Stats,
    /// Also the values that only metrics show.
    Metrics,
}

/// Reads a group; `None` when it is gone.
pub(super) fn read(group: &Group<'_>, depth: Depth) -> Option<Sample> {
    if group.is_v2() { read_v2(group.unified()?) } else { read_v1(group, depth) }
}

fn read_v2(dir: &Directory) -> Option<Sample> {
    let mut sample = Sample { cpu: cpu_v2(&dir.read("cpu.stat")?), ..Sample::default() };
    sample.memory = memory_v2(dir);
    sample.swap = Swap { usage: dir.number("memory.swap.current"), limit: limit(dir.number("memory.swap.max")) };
    sample.tasks = dir.number("pids.current");
    pressures(dir, &mut sample);
    Some(sample)
}

fn pressures(dir: &Directory, sample: &mut Sample) {
    let read = |file| pressure::parse(&dir.read(file)?);
    sample.cpu.pressure = read("cpu.pressure");
    sample.memory.pressure = read("memory.pressure");
    sample.io_pressure = read("io.pressure");
}

/// Source: cgroup-v2.rst, "cpu.stat"; times in microseconds.
fn cpu_v2(text: &str) -> Cpu {
    let mut cpu = Cpu::default();
    for (key, value) in flat_keyed(text) {
        match key {
            "usage_usec" => cpu.total_ns = Some(value.saturating_mul(1000)),
            "user_usec" => cpu.user_ns = Some(value.saturating_mul(1000)),
            "system_usec" => cpu.system_ns = Some(value.saturating_mul(1000)),
            "nr_periods" => cpu.periods = Some(value),
            "nr_throttled" => cpu.throttled_periods = Some(value),
            "throttled_usec" => cpu.throttled_ns = Some(value.saturating_mul(1000)),
            _ => {}
        }
    }
    cpu
}

fn memory_v2(dir: &Directory) -> Memory {
    let mut memory =
        Memory { usage: dir.number("memory.current"), limit: limit(dir.number("memory.max")), ..Memory::default() };
    for (key, value) in flat_keyed(&dir.read("memory.stat").unwrap_or_default()) {
        let field = match key {
            "inactive_file" => &mut memory.inactive_file,
            "anon" => &mut memory.anonymous,
            "file" => &mut memory.cache,
            "file_mapped" => &mut memory.mapped,
            "kernel" => &mut memory.kernel,
            "pgfault" => &mut memory.faults,
            "pgmajfault" => &mut memory.major_faults,
            _ => continue,
        };
        *field = Some(value);
    }
    memory
}

fn limit(value: Option<u64>) -> Option<u64> {
    value.filter(|limit| *limit < V1_UNLIMITED)
}

/// Reads the v1 controllers, and pressure from the unified hierarchy of a hybrid machine.
fn read_v1(group: &Group<'_>, depth: Depth) -> Option<Sample> {
    let accounting = group.v1("cpuacct")?;
    let mut sample = Sample::default();
    sample.cpu.total_ns = accounting.number("cpuacct.usage");
    if let Some(dir) = group.v1("memory") {
        (sample.memory, sample.swap) = memory_v1(dir, depth);
    }
    sample.tasks = group.v1("pids").and_then(|dir| dir.number("pids.current"));
    if let Some(dir) = group.unified() {
        pressures(dir, &mut sample);
    }
    if depth == Depth::Metrics {
        sample.cpu.user_ns = accounting.number("cpuacct.usage_user");
        sample.cpu.system_ns = accounting.number("cpuacct.usage_sys");
        if let Some(text) = group.v1("cpu").and_then(|dir| dir.read("cpu.stat")) {
            throttling_v1(&text, &mut sample.cpu);
        }
    }
    Some(sample)
}

fn throttling_v1(text: &str, cpu: &mut Cpu) {
    for (key, value) in flat_keyed(text) {
        match key {
            "nr_periods" => cpu.periods = Some(value),
            "nr_throttled" => cpu.throttled_periods = Some(value),
            "throttled_time" => cpu.throttled_ns = Some(value),
            _ => {}
        }
    }
}

/// Source: cgroup-v1/memory.rst; `total_` values include everything below the group.
fn memory_v1(dir: &Directory, depth: Depth) -> (Memory, Swap) {
    let mut memory = Memory {
        usage: dir.number("memory.usage_in_bytes"),
        limit: limit(dir.number("memory.limit_in_bytes")),
        ..Memory::default()
    };
    let mut swap = Swap::default();
    for (key, value) in flat_keyed(&dir.read("memory.stat").unwrap_or_default()) {
        let field = match key {
            "total_inactive_file" => &mut memory.inactive_file,
            "total_rss" => &mut memory.anonymous,
            "total_cache" => &mut memory.cache,
            "total_mapped_file" => &mut memory.mapped,
            "total_pgfault" => &mut memory.faults,
            "total_pgmajfault" => &mut memory.major_faults,
            "total_swap" => &mut swap.usage,
            _ => continue,
        };
        *field = Some(value);
    }
    // The v1 limit is on memory and swap together.
    let both = limit(dir.number("memory.memsw.limit_in_bytes"));
    swap.limit = both.zip(memory.limit).map(|(both, memory)| both.saturating_sub(memory));
    if depth == Depth::Metrics {
        memory.kernel = dir.number("memory.kmem.usage_in_bytes");
    }
    (memory, swap)
}
