// SPDX-License-Identifier: Apache-2.0
//! Computes a container's resource usage from two readings of its counters. Pure.

use gorae_proto::cri;
use serde::Serialize;

/// One reading of one container's counters.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The container's display name.
    pub name: String,
    /// The container's counters.
    pub stats: cri::ContainerStats,
    /// The counters of its pod; `None` when the daemon has none.
    pub pod: Option<cri::LinuxPodSandboxStats>,
}

/// One row of `gorae stats`.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The container's id, in full.
    pub id: String,
    /// The container's display name.
    pub name: String,
    /// Processor use; 100 is one processor in full use.
    pub cpu_percent: f64,
    /// Working set of the container.
    pub memory_bytes: u64,
    /// Memory limit; `None` without one.
    pub memory_limit_bytes: Option<u64>,
    /// Working set as a share of the limit.
    pub memory_percent: Option<f64>,
    /// Bytes received by the whole pod.
    pub received_bytes: Option<u64>,
    /// Bytes sent by the whole pod.
    pub sent_bytes: Option<u64>,
    /// Number of processes in the whole pod.
    pub processes: Option<u64>,
}

/// Computes a row from the latest reading. Processor use is the average since the reading `before`.
pub fn usage(id: &str, now: &Reading, before: Option<&Reading>) -> Usage {
    let value = |value: &Option<cri::UInt64Value>| value.as_ref().map(|v| v.value);
    let memory = now.stats.memory.unwrap_or_default();
    let used = value(&memory.working_set_bytes).or(value(&memory.usage_bytes)).unwrap_or(0);
    let limit = value(&memory.available_bytes).filter(|&free| free > 0).map(|free| used.saturating_add(free));
    let network = now.pod.as_ref().and_then(|pod| pod.network.as_ref()).and_then(|n| n.default_interface.as_ref());
    let processes = now.pod.as_ref().and_then(|pod| pod.process.as_ref());
    Usage {
        id: id.to_owned(),
        name: now.name.clone(),
        cpu_percent: cpu_percent(now.stats.cpu.as_ref(), before.and_then(|before| before.stats.cpu.as_ref())),
        memory_bytes: used,
        memory_limit_bytes: limit,
        memory_percent: limit.map(|limit| used as f64 * 100.0 / limit as f64),
        received_bytes: network.and_then(|interface| value(&interface.rx_bytes)),
        sent_bytes: network.and_then(|interface| value(&interface.tx_bytes)),
        processes: processes.and_then(|processes| value(&processes.process_count)),
    }
}

/// The rate between two readings; the daemon's own rate when both are the same or there is only one.
fn cpu_percent(now: Option<&cri::CpuUsage>, before: Option<&cri::CpuUsage>) -> f64 {
    let Some(now) = now else { return 0.0 };
    let total = |cpu: &cri::CpuUsage| cpu.usage_core_nano_seconds.as_ref().map_or(0, |v| v.value);
    match before {
        Some(before) if now.timestamp > before.timestamp => {
            let spent = total(now).saturating_sub(total(before));
            spent as f64 * 100.0 / (now.timestamp - before.timestamp) as f64
        }
        _ => now.usage_nano_cores.as_ref().map_or(0.0, |rate| rate.value as f64 / 1e7),
    }
}

/// Formats a size in binary units, as `docker stats` does: `1.5KiB`.
pub fn binary(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes}B") } else { format!("{value:.1}{}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(timestamp: i64, cpu: u64, used: u64, free: u64) -> Reading {
        let value = |value| Some(cri::UInt64Value { value });
        let cpu = cri::CpuUsage {
            timestamp,
            usage_core_nano_seconds: value(cpu),
            usage_nano_cores: value(20_000_000),
            ..Default::default()
        };
        let memory =
            cri::MemoryUsage { working_set_bytes: value(used), available_bytes: value(free), ..Default::default() };
        let stats = cri::ContainerStats { cpu: Some(cpu), memory: Some(memory), ..Default::default() };
        Reading { stats, ..Default::default() }
    }

    #[test]
    fn processor_use_is_the_average_between_two_readings() {
        let (before, now) = (reading(1_000, 100, 0, 0), reading(2_000, 1_600, 0, 0));
        assert_eq!(usage("a", &now, Some(&before)).cpu_percent, 150.0);
        assert_eq!(usage("a", &now, None).cpu_percent, 2.0);
        assert_eq!(usage("a", &now, Some(&now)).cpu_percent, 2.0);
        assert_eq!(usage("a", &reading(3_000, 5, 0, 0), Some(&now)).cpu_percent, 0.0);
    }

    #[test]
    fn a_limit_is_the_sum_of_used_and_available_memory() {
        let limited = usage("a", &reading(1, 0, 25 << 20, 75 << 20), None);
        assert_eq!((limited.memory_limit_bytes, limited.memory_percent), (Some(100 << 20), Some(25.0)));
        let free = usage("a", &reading(1, 0, 25 << 20, 0), None);
        assert_eq!((free.memory_limit_bytes, free.memory_percent, free.received_bytes), (None, None, None));
    }

    #[test]
    fn memory_is_shown_in_binary_units() {
        for (bytes, said) in [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (5 << 30, "5.0GiB")] {
            assert_eq!(binary(bytes), said);
        }
    }
}
