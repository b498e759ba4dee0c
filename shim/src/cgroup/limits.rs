// SPDX-License-Identifier: Apache-2.0
//! CRI limits as cgroup file writes: computed by pure functions, applied by a few lines.

use super::dir::Dir;
use super::dirs::Dirs;
use crate::failure::{self, Kind, Result};
use crate::wire::Resources;
use std::io;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which hierarchy on v1; on v2 only a hint.
    pub controller: &'static str,
    /// The file's name.
    pub file: String,
    /// What is written.
    pub value: String,
    /// The kernel may not have this file (swap accounting, huge pages): then the limit is left out.
    pub optional: bool,
}

/// Stands for the quota in force in a `cpu.max` write that only changes the period.
pub const KEEP_QUOTA: &str = "keep ";

fn write(controller: &'static str, file: &str, value: impl ToString) -> Write {
    Write { controller, file: file.into(), value: value.to_string(), optional: false }
}

fn optional(controller: &'static str, file: &str, value: impl ToString) -> Write {
    Write { optional: true, ..write(controller, file, value) }
}

/// Kubelet sends a limit of 0 for each size of pages, also where the kernel has none of them.
fn pages(file: &str, limit: u64) -> Write {
    Write { optional: limit == 0, ..write("hugetlb", file, limit) }
}

/// The writes that put `resources` in force in this layout.
///
/// - Errors: `InvalidArgument` for unified values that touch cgroup core files or carry a slash.
pub fn writes(v2: bool, resources: &Resources) -> Result<Vec<Write>> {
    if v2 {
        let mut all = for_v2(resources);
        all.extend(unified(resources)?);
        return Ok(all);
    }
    Ok(for_v1(resources))
}

fn for_v2(r: &Resources) -> Vec<Write> {
    let mut all = Vec::new();
    if r.cpu_shares > 0 {
        all.push(write("cpu", "cpu.weight", weight_from_shares(r.cpu_shares as u64)));
    }
    match (r.cpu_quota_us, r.cpu_period_us) {
        (0, 0) => {}
        // A period without a quota: `update` fills in the quota in force; a new cgroup has none ("max").
        (0, period) => all.push(write("cpu", "cpu.max", format!("{KEEP_QUOTA}{period}"))),
        // The kernel keeps the period when only the first word is written.
        (quota, 0) => all.push(write("cpu", "cpu.max", max_or(quota))),
        (quota, period) => all.push(write("cpu", "cpu.max", format!("{} {period}", max_or(quota)))),
    }
    push_text(&mut all, "cpuset", "cpuset.cpus", &r.cpuset_cpus);
    push_text(&mut all, "cpuset", "cpuset.mems", &r.cpuset_mems);
    if r.memory_limit_bytes != 0 {
        all.push(write("memory", "memory.max", max_or(r.memory_limit_bytes)));
    }
    match (r.memory_swap_limit_bytes, r.memory_limit_bytes) {
        (0, _) => {}
        (swap, _) if swap < 0 => all.push(optional("memory", "memory.swap.max", "max")),
        (swap, memory) if memory > 0 => all.push(optional("memory", "memory.swap.max", (swap - memory).max(0))),
        _ => {}
    }
    if r.pids_limit != 0 {
        all.push(write("pids", "pids.max", max_or(r.pids_limit)));
    }
    for page in &r.hugepages {
        all.push(pages(&format!("hugetlb.{}.max", page.page_size), page.limit_bytes));
        all.push(optional("hugetlb", &format!("hugetlb.{}.rsvd.max", page.page_size), page.limit_bytes));
    }
    all
}

fn for_v1(r: &Resources) -> Vec<Write> {
    let mut all = Vec::new();
    if r.cpu_shares > 0 {
        all.push(write("cpu", "cpu.shares", r.cpu_shares));
    }
    if r.cpu_period_us > 0 {
        all.push(write("cpu", "cpu.cfs_period_us", r.cpu_period_us));
    }
    if r.cpu_quota_us != 0 {
        all.push(write("cpu", "cpu.cfs_quota_us", r.cpu_quota_us.max(-1)));
    }
    push_text(&mut all, "cpuset", "cpuset.cpus", &r.cpuset_cpus);
    push_text(&mut all, "cpuset", "cpuset.mems", &r.cpuset_mems);
    if r.memory_limit_bytes != 0 {
        all.push(write("memory", "memory.limit_in_bytes", r.memory_limit_bytes.max(-1)));
    }
    if r.memory_swap_limit_bytes != 0 {
        all.push(optional("memory", "memory.memsw.limit_in_bytes", r.memory_swap_limit_bytes.max(-1)));
    }
    if r.pids_limit != 0 {
        all.push(write("pids", "pids.max", max_or(r.pids_limit)));
    }
    for page in &r.hugepages {
        all.push(pages(&format!("hugetlb.{}.limit_in_bytes", page.page_size), page.limit_bytes));
    }
    all
}

/// The v2 files that the request names itself. The core files decide who is in the cgroup and are not limits.
fn unified(r: &Resources) -> Result<Vec<Write>> {
    let mut all = Vec::new();
    for value in &r.unified {
        if value.file.contains('/') || value.file.starts_with("cgroup.") || !value.file.contains('.') {
            return Err(failure::refused(Kind::InvalidArgument, "set limit", &value.file, "not a controller's file"));
        }
        // The kernel takes one device of io.max and its like in a write.
        let lines = value.value.trim_end_matches('\n').split('\n');
        all.extend(lines.map(|line| write("unified", &value.file, line)));
    }
    Ok(all)
}

fn push_text(all: &mut Vec<Write>, controller: &'static str, file: &str, value: &str) {
    if !value.is_empty() {
        all.push(write(controller, file, value));
    }
}

fn max_or(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

/// cpu.weight for v1 shares: 2 and less is 1, 1024 is 100, 262144 and more is 10000.
fn weight_from_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// Writes the limits into a new cgroup.
pub fn apply(dirs: &Dirs, resources: &Resources) -> Result<()> {
    for mut one in writes(dirs.is_v2, resources)? {
        one.value = one.value.replacen(KEEP_QUOTA, "max ", 1);
        if let Some(dir) = dir_of(dirs, &one)? {
            put(dir, &one)?;
        }
    }
    Ok(())
}

/// Where a write goes; `None` when it is optional and this machine has no such controller.
///
/// - Errors: `FailedPrecondition` when there is none for any other: a limit that is left out is found out too late.
pub fn dir_of<'a>(dirs: &'a Dirs, one: &Write) -> Result<Option<&'a Dir>> {
    match dirs.controller(one.controller) {
        None if !one.optional => {
            let why = format!("this machine has no {} controller", one.controller);
            let object = format!("{} = {}", one.file, one.value);
            Err(failure::refused(Kind::FailedPrecondition, "set limit", object, &why))
        }
        dir => Ok(dir),
    }
}

/// Writes one value.
pub fn put(dir: &Dir, one: &Write) -> Result<()> {
    match dir.write(&one.file, &one.value) {
        Ok(()) => Ok(()),
        Err(e) if one.optional && e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failure::kernel("set limit", format!("{} = {}", dir.show(&one.file), one.value), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{HugepageLimit, UnifiedValue};

    #[test]
    fn shares_become_the_weight_that_keeps_the_default_at_100() {
        for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000), (1, 1), (u64::MAX, 10_000)] {
            assert_eq!(weight_from_shares(shares), weight, "{shares}");
        }
        let weights: Vec<u64> = (2..4096).map(weight_from_shares).collect();
        assert!(weights.is_sorted());
    }

    #[test]
    fn swap_is_memory_plus_swap_on_v1_and_the_difference_on_v2() {
        let r = Resources { memory_limit_bytes: 100, memory_swap_limit_bytes: 150, ..Default::default() };
        let v2 = writes(true, &r).expect("valid");
        assert_eq!(v2[1], optional("memory", "memory.swap.max", 50));
        let v1 = writes(false, &r).expect("valid");
        assert_eq!(v1[1], optional("memory", "memory.memsw.limit_in_bytes", 150));
    }

    #[test]
    fn minus_one_is_unlimited_and_zero_writes_nothing() {
        assert_eq!(writes(true, &Resources::default()), Ok(vec![]));
        let r = Resources { memory_limit_bytes: -1, cpu_quota_us: -1, pids_limit: -1, ..Default::default() };
        let values: Vec<String> = writes(true, &r).expect("valid").into_iter().map(|w| w.value).collect();
        assert_eq!(values, ["max", "max", "max"]);
    }

    #[test]
    fn an_absent_hugepage_file_is_forgiven() {
        let hugepages = vec![HugepageLimit { page_size: "2MB".into(), limit_bytes: 0 }];
        let all = writes(true, &Resources { hugepages, ..Default::default() }).expect("valid");
        assert!(all.iter().all(|w| w.optional) && all[0].file == "hugetlb.2MB.max");
    }

    #[test]
    fn a_limit_without_its_controller_is_refused_unless_it_limits_nothing() {
        let dirs = Dirs { unified: None, v1: Vec::new(), is_v2: false };
        let failure = apply(&dirs, &Resources { cpu_shares: 5, ..Default::default() }).unwrap_err();
        assert_eq!(failure.kind(), Kind::FailedPrecondition);
        assert_eq!(failure.message, "set limit cpu.shares = 5: this machine has no cpu controller");
        let pages = |limit_bytes| Resources {
            hugepages: vec![HugepageLimit { page_size: "2MB".into(), limit_bytes }],
            ..Default::default()
        };
        assert_eq!(apply(&dirs, &pages(0)), Ok(()), "kubelet sends it on every machine");
        assert!(apply(&dirs, &pages(4096)).is_err());
    }

    #[test]
    fn each_line_of_a_unified_value_is_a_write_and_no_line_is_one() {
        let writes_of = |value: &str| {
            let unified = vec![UnifiedValue { file: "io.max".into(), value: value.into() }];
            let all = writes(true, &Resources { unified, ..Default::default() }).expect("valid");
            all.into_iter().map(|w| w.value).collect::<Vec<_>>()
        };
        assert_eq!(writes_of("8:0 rbps=1\n8:16 wbps=2\n"), ["8:0 rbps=1", "8:16 wbps=2"]);
        assert_eq!(writes_of(""), [""]);
    }

    #[test]
    fn unified_values_cannot_touch_core_files() {
        for file in ["cgroup.procs", "cgroup.subtree_control", "../memory.max", "memory"] {
            let unified = vec![UnifiedValue { file: file.into(), value: "1".into() }];
            assert!(writes(true, &Resources { unified, ..Default::default() }).is_err(), "{file}");
        }
    }
}
