// SPDX-License-Identifier: Apache-2.0
//! The checked limits of a cgroup.

use crate::malformed::{Malformed, Result, each, non_empty};
use crate::wire::{self, HugepageLimit, UnifiedValue};

/// A limit that can also be unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// This much, in the unit of the resource.
    To(u64),
}

/// The limits to set; `None` leaves a limit unchanged, which for a new cgroup means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU time per period, in microseconds.
    pub cpu_quota: Option<Limit>,
    /// The length of a period, in microseconds.
    pub cpu_period: Option<u64>,
    /// The weight relative to sibling cgroups on v1's scale, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// In bytes.
    pub memory: Option<Limit>,
    /// The sum of memory and swap, in bytes.
    pub memory_and_swap: Option<Limit>,
    /// CPUs, in the kernel's list format: `0-3,7`.
    pub cpus: Option<String>,
    /// Memory nodes, in the same format.
    pub memory_nodes: Option<String>,
    /// A limit for each page size, in bytes.
    pub hugepages: Vec<HugepageLimit>,
    /// Files of cgroup v2 and the values to write to them.
    pub unified: Vec<UnifiedValue>,
    /// Processes and threads.
    pub pids: Option<Limit>,
}

impl Resources {
    /// Checks the message. 0 and the empty string mean "not set", -1 means unlimited.
    ///
    /// # Errors
    /// For other negative numbers, and for names that do not belong to a limit.
    pub fn checked(resources: wire::Resources) -> Result<Self> {
        Ok(Self {
            cpu_quota: limit("cpu_quota_us", resources.cpu_quota_us)?,
            cpu_period: positive("cpu_period_us", resources.cpu_period_us)?,
            cpu_shares: positive("cpu_shares", resources.cpu_shares)?,
            memory: limit("memory_limit_bytes", resources.memory_limit_bytes)?,
            memory_and_swap: limit("memory_swap_limit_bytes", resources.memory_swap_limit_bytes)?,
            cpus: non_empty(resources.cpuset_cpus),
            memory_nodes: non_empty(resources.cpuset_mems),
            hugepages: each("hugepages", resources.hugepages, hugepage)?,
            unified: each("unified", resources.unified, unified)?,
            pids: limit("pids_limit", resources.pids_limit)?,
        })
    }
}

fn limit(field: &str, number: i64) -> Result<Option<Limit>> {
    match number {
        0 => Ok(None),
        -1 => Ok(Some(Limit::Unlimited)),
        _ => positive(field, number).map(|to| to.map(Limit::To)),
    }
}

fn positive(field: &str, number: i64) -> Result<Option<u64>> {
    match u64::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Malformed::new(field, format!("{number} is negative"))),
    }
}

/// The page size becomes a part of a file name.
fn hugepage(limit: HugepageLimit) -> Result<HugepageLimit> {
    if !limit.page_size.is_empty() && limit.page_size.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(limit);
    }
    Err(Malformed::new("page_size", format!("{:?} is not a page size", limit.page_size)))
}

/// The core files control the membership of the cgroup and are not limits.
fn unified(value: UnifiedValue) -> Result<UnifiedValue> {
    if value.file.contains('/') || value.file.starts_with("cgroup.") || !value.file.contains('.') {
        return Err(Malformed::new("file", format!("{:?} is not a controller's file", value.file)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_says_nothing_and_minus_one_is_no_limit() {
        assert_eq!(Resources::checked(wire::Resources::default()), Ok(Resources::default()));
        let asked = wire::Resources { memory_limit_bytes: -1, cpu_quota_us: 5, cpu_shares: 2, ..Default::default() };
        let wanted = Resources {
            memory: Some(Limit::Unlimited),
            cpu_quota: Some(Limit::To(5)),
            cpu_shares: Some(2),
            ..Default::default()
        };
        assert_eq!(Resources::checked(asked), Ok(wanted));
    }

    #[test]
    fn what_is_not_a_limit_is_refused() {
        for file in ["cgroup.procs", "cgroup.subtree_control", "../memory.max", "memory"] {
            let unified = vec![UnifiedValue { file: file.into(), value: "1".into() }];
            assert!(Resources::checked(wire::Resources { unified, ..Default::default() }).is_err(), "{file}");
        }
        for page_size in ["", "../x", "2MB/"] {
            let hugepages = vec![HugepageLimit { page_size: page_size.into(), limit_bytes: 1 }];
            assert!(Resources::checked(wire::Resources { hugepages, ..Default::default() }).is_err(), "{page_size}");
        }
        for asked in [
            wire::Resources { cpu_shares: -1, ..Default::default() },
            wire::Resources { cpu_period_us: -1, ..Default::default() },
            wire::Resources { memory_limit_bytes: -2, ..Default::default() },
            wire::Resources { pids_limit: i64::MIN, ..Default::default() },
        ] {
            assert!(Resources::checked(asked.clone()).is_err(), "{asked:?}");
        }
    }
}
