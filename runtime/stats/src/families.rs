// SPDX-License-Identifier: Apache-2.0
//! The 56 metrics that replace cAdvisor's, by name. The list never changes while the daemon runs.
//!
//! Values are whole numbers, as in the CRI: seconds lose their fraction.

use gorae_proto::cri::{MetricDescriptor, MetricType};

/// Labels that every metric has, in this order.
pub(super) const BASE_LABELS: [&str; 6] = ["id", "name", "image", "namespace", "pod", "container"];

/// A metric's name and shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Labels after the base ones.
    pub(super) labels: &'static [&'static str],
    pub(super) kind: MetricType,
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family {
    Family { name, help, labels, kind: MetricType::Counter }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family {
    Family { name, help, labels, kind: MetricType::Gauge }
}

pub(super) static CPU_USAGE: Family =
    counter("container_cpu_usage_seconds_total", "CPU time used, in seconds", &["cpu"]);
pub(super) static CPU_USER: Family =
    counter("container_cpu_user_seconds_total", "CPU time used in user mode, in seconds", &[]);
pub(super) static CPU_SYSTEM: Family =
    counter("container_cpu_system_seconds_total", "CPU time used in the kernel, in seconds", &[]);
pub(super) static CFS_PERIODS: Family =
    counter("container_cpu_cfs_periods_total", "Enforcement periods of the CPU quota that have passed", &[]);
pub(super) static CFS_THROTTLED_PERIODS: Family = counter(
    "container_cpu_cfs_throttled_periods_total",
    "Enforcement periods in which the container was throttled",
    &[],
);
pub(super) static CFS_THROTTLED_SECONDS: Family =
    counter("container_cpu_cfs_throttled_seconds_total", "Time for which the container was throttled, in seconds", &[]);

pub(super) static MEMORY_USAGE: Family =
    gauge("container_memory_usage_bytes", "Memory in use, page cache included", &[]);
pub(super) static MEMORY_WORKING_SET: Family =
    gauge("container_memory_working_set_bytes", "Memory in use, less page cache that was not used recently", &[]);
pub(super) static MEMORY_RSS: Family = gauge("container_memory_rss", "Anonymous memory, in bytes", &[]);
pub(super) static MEMORY_CACHE: Family = gauge("container_memory_cache", "Page cache, in bytes", &[]);
pub(super) static MEMORY_MAPPED: Family = gauge("container_memory_mapped_file", "Mapped files, in bytes", &[]);
pub(super) static MEMORY_SWAP: Family = gauge("container_memory_swap", "Swap space in use, in bytes", &[]);
pub(super) static MEMORY_KERNEL: Family = gauge("container_memory_kernel_usage", "Kernel memory, in bytes", &[]);
pub(super) static MEMORY_MAX_USAGE: Family =
    gauge("container_memory_max_usage_bytes", "Highest memory usage so far", &[]);
pub(super) static MEMORY_FAILCNT: Family =
    counter("container_memory_failcnt", "Number of times that memory usage hit the limit", &[]);
pub(super) static MEMORY_FAILURES: Family =
    counter("container_memory_failures_total", "Page faults by kind", &["failure_type", "scope"]);
pub(super) static OOM_EVENTS: Family =
    counter("container_oom_events_total", "Processes killed because memory ran out", &[]);

pub(super) static HUGETLB_USAGE: Family =
    gauge("container_hugetlb_usage_bytes", "Huge pages in use, in bytes", &["pagesize"]);
pub(super) static HUGETLB_MAX_USAGE: Family =
    gauge("container_hugetlb_max_usage_bytes", "Highest usage of huge pages so far, in bytes", &["pagesize"]);

pub(super) static CPU_STALLED: Family =
    counter("container_pressure_cpu_stalled_seconds_total", "Time in which all tasks waited for CPU, in seconds", &[]);
pub(super) static CPU_WAITING: Family =
    counter("container_pressure_cpu_waiting_seconds_total", "Time in which some task waited for CPU, in seconds", &[]);
pub(super) static IO_STALLED: Family =
    counter("container_pressure_io_stalled_seconds_total", "Time in which all tasks waited for I/O, in seconds", &[]);
pub(super) static IO_WAITING: Family =
    counter("container_pressure_io_waiting_seconds_total", "Time in which some task waited for I/O, in seconds", &[]);
pub(super) static MEMORY_STALLED: Family = counter(
    "container_pressure_memory_stalled_seconds_total",
    "Time in which all tasks waited for memory, in seconds",
    &[],
);
pub(super) static MEMORY_WAITING: Family = counter(
    "container_pressure_memory_waiting_seconds_total",
    "Time in which some task waited for memory, in seconds",
    &[],
);

pub(super) static BLKIO_USAGE: Family = counter(
    "container_blkio_device_usage_total",
    "Bytes moved, by device and operation",
    &["device", "major", "minor", "operation"],
);
pub(super) static FS_READ_BYTES: Family = counter("container_fs_reads_bytes_total", "Bytes read", &["device"]);
pub(super) static FS_READS: Family = counter("container_fs_reads_total", "Reads completed", &["device"]);
pub(super) static FS_WRITTEN_BYTES: Family = counter("container_fs_writes_bytes_total", "Bytes written", &["device"]);
pub(super) static FS_WRITES: Family = counter("container_fs_writes_total", "Writes completed", &["device"]);
pub(super) static FS_USAGE: Family =
    gauge("container_fs_usage_bytes", "Size of the container's writable layer, in bytes", &["device"]);
pub(super) static FS_LIMIT: Family =
    gauge("container_fs_limit_bytes", "Size of the file system of the writable layer, in bytes", &["device"]);
pub(super) static FS_INODES: Family =
    gauge("container_fs_inodes_total", "Inodes of the file system of the writable layer", &["device"]);
pub(super) static FS_INODES_FREE: Family =
    gauge("container_fs_inodes_free", "Free inodes of the file system of the writable layer", &["device"]);

pub(super) static PROCESSES: Family = gauge("container_processes", "Processes in the container", &[]);
pub(super) static THREADS: Family = gauge("container_threads", "Threads in the container", &[]);
pub(super) static THREADS_MAX: Family = gauge("container_threads_max", "Limit on threads; 0 means no limit", &[]);
pub(super) static FILE_DESCRIPTORS: Family = gauge("container_file_descriptors", "Open file descriptors", &[]);
pub(super) static SOCKETS: Family = gauge("container_sockets", "Open sockets", &[]);
pub(super) static ULIMITS_SOFT: Family =
    gauge("container_ulimits_soft", "Soft limits of the container's first process", &["ulimit"]);
pub(super) static START_TIME: Family =
    gauge("container_start_time_seconds", "Start time of the container, in seconds since the Unix epoch", &[]);
pub(super) static LAST_SEEN: Family =
    gauge("container_last_seen", "Time at which these values were read, in seconds since the Unix epoch", &[]);

pub(super) static SPEC_CPU_PERIOD: Family =
    gauge("container_spec_cpu_period", "Period of the CPU quota, in microseconds", &[]);
pub(super) static SPEC_CPU_QUOTA: Family =
    gauge("container_spec_cpu_quota", "CPU quota in a period, in microseconds", &[]);
pub(super) static SPEC_CPU_SHARES: Family = gauge("container_spec_cpu_shares", "CPU shares", &[]);
pub(super) static SPEC_MEMORY_LIMIT: Family =
    gauge("container_spec_memory_limit_bytes", "Memory limit, in bytes; 0 means no limit", &[]);
pub(super) static SPEC_MEMORY_RESERVATION: Family = gauge(
    "container_spec_memory_reservation_limit_bytes",
    "Memory protected from reclaim, in bytes; 0 means none",
    &[],
);
pub(super) static SPEC_MEMORY_SWAP_LIMIT: Family = gauge(
    "container_spec_memory_swap_limit_bytes",
    "Limit on memory and swap together, in bytes; 0 means no limit",
    &[],
);

pub(super) static RECEIVED_BYTES: Family =
    counter("container_network_receive_bytes_total", "Bytes received", &["interface"]);
pub(super) static RECEIVED_PACKETS: Family =
    counter("container_network_receive_packets_total", "Packets received", &["interface"]);
pub(super) static RECEIVED_DROPPED: Family =
    counter("container_network_receive_packets_dropped_total", "Packets dropped on receipt", &["interface"]);
pub(super) static RECEIVED_ERRORS: Family =
    counter("container_network_receive_errors_total", "Errors on receipt", &["interface"]);
pub(super) static SENT_BYTES: Family = counter("container_network_transmit_bytes_total", "Bytes sent", &["interface"]);
pub(super) static SENT_PACKETS: Family =
    counter("container_network_transmit_packets_total", "Packets sent", &["interface"]);
pub(super) static SENT_DROPPED: Family =
    counter("container_network_transmit_packets_dropped_total", "Packets dropped on sending", &["interface"]);
pub(super) static SENT_ERRORS: Family =
    counter("container_network_transmit_errors_total", "Errors on sending", &["interface"]);

/// All metrics, in the order of the descriptors.
pub(super) static ALL: [&Family; 56] = [
    &CPU_USAGE,
    &CPU_USER,
    &CPU_SYSTEM,
    &CFS_PERIODS,
    &CFS_THROTTLED_PERIODS,
    &CFS_THROTTLED_SECONDS,
    &MEMORY_USAGE,
    &MEMORY_WORKING_SET,
    &MEMORY_RSS,
    &MEMORY_CACHE,
    &MEMORY_MAPPED,
    &MEMORY_SWAP,
    &MEMORY_KERNEL,
    &MEMORY_MAX_USAGE,
    &MEMORY_FAILCNT,
    &MEMORY_FAILURES,
    &OOM_EVENTS,
    &HUGETLB_USAGE,
    &HUGETLB_MAX_USAGE,
    &CPU_STALLED,
    &CPU_WAITING,
    &IO_STALLED,
    &IO_WAITING,
    &MEMORY_STALLED,
    &MEMORY_WAITING,
    &BLKIO_USAGE,
    &FS_READ_BYTES,
    &FS_READS,
    &FS_WRITTEN_BYTES,
    &FS_WRITES,
    &FS_USAGE,
    &FS_LIMIT,
    &FS_INODES,
    &FS_INODES_FREE,
    &PROCESSES,
    &THREADS,
    &THREADS_MAX,
    &FILE_DESCRIPTORS,
    &SOCKETS,
    &ULIMITS_SOFT,
    &START_TIME,
    &LAST_SEEN,
    &SPEC_CPU_PERIOD,
    &SPEC_CPU_QUOTA,
    &SPEC_CPU_SHARES,
    &SPEC_MEMORY_LIMIT,
    &SPEC_MEMORY_RESERVATION,
    &SPEC_MEMORY_SWAP_LIMIT,
    &RECEIVED_BYTES,
    &RECEIVED_PACKETS,
    &RECEIVED_DROPPED,
    &RECEIVED_ERRORS,
    &SENT_BYTES,
    &SENT_PACKETS,
    &SENT_DROPPED,
    &SENT_ERRORS,
];

/// Describes all metrics, for the response to ListMetricDescriptors.
pub fn descriptors() -> Vec<MetricDescriptor> {
    let keys = |family: &Family| BASE_LABELS.iter().chain(family.labels).map(|label| (*label).to_owned()).collect();
    let descriptor = |family: &&Family| MetricDescriptor {
        name: family.name.into(),
        help: family.help.into(),
        label_keys: keys(family),
    };
    ALL.iter().map(descriptor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_descriptor_has_a_name_of_its_own_help_and_keys() {
        let descriptors = descriptors();
        let names: HashSet<_> = descriptors.iter().map(|descriptor| &descriptor.name).collect();
        assert_eq!(names.len(), 56);
        for descriptor in &descriptors {
            assert!(descriptor.name.starts_with("container_") && !descriptor.help.is_empty());
            let keys: HashSet<_> = descriptor.label_keys.iter().collect();
            assert_eq!(keys.len(), descriptor.label_keys.len(), "{}", descriptor.name);
        }
    }
}
