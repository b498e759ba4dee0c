// SPDX-License-Identifier: Apache-2.0
//! CRI limits as cgroup file writes: pure functions compute them, and a few lines apply them.

use super::dir::Dir;
use super::dirs::Dirs;
use super::resources::{Limit, Resources};
use crate::failure::{self, Kind, Result};
use std::io;

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The controller, which selects the hierarchy on v1; on v2 it only appears in errors.
    pub controller: &'static str,
    /// The file's name.
    pub file: String,
    /// The text to write.
    pub value: String,
    /// The kernel may lack this file (swap accounting, huge pages); the limit is then skipped.
    pub optional: bool,
}

/// Placeholder for the current quota in a `cpu.max` write that only changes the period.
pub const KEEP_QUOTA: &str = "keep ";

fn write(controller: &'static str, file: &str, value: impl ToString) -> Write {
    Write { controller, file: file.into(), value: value.to_string(), optional: false }
}

fn optional(controller: &'static str, file: &str, value: impl ToString) -> Write {
    Write { optional: true, ..write(controller, file, value) }
}

/// Kubelet sends a limit of 0 for every page size, even for sizes that the kernel lacks.
fn pages(file: &str, limit: u64) -> Write {
    Write { optional: limit == 0, ..write("hugetlb", file, limit) }
}

/// The writes that apply `resources` in this layout.
pub fn writes(v2: bool, resources: &Resources) -> Vec<Write> {
    if v2 { for_v2(resources) } else { for_v1(resources) }
}

fn for_v2(r: &Resources) -> Vec<Write> {
    let mut all = Vec::new();
    all.extend(r.cpu_shares.map(|shares| write("cpu", "cpu.weight", weight_from_shares(shares))));
    match (r.cpu_quota, r.cpu_period) {
        (None, None) => {}
        // A period without a quota: `update` fills in the current quota; a new cgroup has none ("max").
        (None, Some(period)) => all.push(write("cpu", "cpu.max", format!("{KEEP_QUOTA}{period}"))),
        // The kernel keeps the period when only the first word is written.
        (Some(quota), None) => all.push(write("cpu", "cpu.max", or_max(quota))),
        (Some(quota), Some(period)) => all.push(write("cpu", "cpu.max", format!("{} {period}", or_max(quota)))),
    }
    all.extend(cpuset(r));
    all.extend(r.memory.map(|limit| write("memory", "memory.max", or_max(limit))));
    let swap = match (r.memory_and_swap, r.memory) {
        (Some(Limit::To(sum)), Some(Limit::To(memory))) => Some(Limit::To(sum.saturating_sub(memory))),
        (Some(Limit::Unlimited), _) => Some(Limit::Unlimited),
        _ => None,
    };
    all.extend(swap.map(|limit| optional("memory", "memory.swap.max", or_max(limit))));
    all.extend(r.pids.map(|limit| write("pids", "pids.max", or_max(limit))));
    for page in &r.hugepages {
        all.push(pages(&format!("hugetlb.{}.max", page.page_size), page.limit_bytes));
        all.push(optional("hugetlb", &format!("hugetlb.{}.rsvd.max", page.page_size), page.limit_bytes));
    }
    for value in &r.unified {
        // The kernel accepts one device per write to io.max and similar files.
        let lines = value.value.trim_end_matches('\n').split('\n');
        all.extend(lines.map(|line| write("unified", &value.file, line)));
    }
    all
}

fn for_v1(r: &Resources) -> Vec<Write> {
    let mut all = Vec::new();
    all.extend(r.cpu_shares.map(|shares| write("cpu", "cpu.shares", shares)));
    all.extend(r.cpu_period.map(|period| write("cpu", "cpu.cfs_period_us", period)));
    all.extend(r.cpu_quota.map(|limit| write("cpu", "cpu.cfs_quota_us", or_minus_one(limit))));
    all.extend(cpuset(r));
    all.extend(r.memory.map(|limit| write("memory", "memory.limit_in_bytes", or_minus_one(limit))));
    let sum = r.memory_and_swap;
    all.extend(sum.map(|limit| optional("memory", "memory.memsw.limit_in_bytes", or_minus_one(limit))));
    all.extend(r.pids.map(|limit| write("pids", "pids.max", or_max(limit))));
    for page in &r.hugepages {
        all.push(pages(&format!("hugetlb.{}.limit_in_bytes", page.page_size), page.limit_bytes));
    }
    all
}

/// The cpuset writes, which are the same in both versions.
fn cpuset(r: &Resources) -> impl Iterator<Item = Write> {
    let files = [("cpuset.cpus", &r.cpus), ("cpuset.mems", &r.memory_nodes)];
    files.into_iter().filter_map(|(file, list)| list.as_ref().map(|list| write("cpuset", file, list)))
}

fn or_max(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "max".to_owned(),
        Limit::To(number) => number.to_string(),
    }
}

fn or_minus_one(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "-1".to_owned(),
        Limit::To(number) => number.to_string(),
    }
}

/// The cpu.weight for v1 shares: 2 and less is 1, 1024 is 100, 262144 and more is 10000.
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
///
/// # Errors
/// `FailedPrecondition` when no hierarchy has the controller; otherwise as [`put`].
pub fn apply(dirs: &Dirs, resources: &Resources) -> Result<()> {
    for mut one in writes(dirs.is_v2, resources) {
        one.value = one.value.replacen(KEEP_QUOTA, "max ", 1);
        if let Some(dir) = dir_of(dirs, &one)? {
            put(dir, &one)?;
        }
    }
    Ok(())
}

/// Finds the directory for a write; `None` when it is optional and this machine has no such controller.
///
/// # Errors
/// `FailedPrecondition` when a write that is not optional has no directory: a skipped limit would be noticed too late.
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
///
/// # Errors
/// The kernel's error, with the file and the value. An optional file that is missing is not an error.
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
    use crate::wire::{self, HugepageLimit, UnifiedValue};

    fn checked(resources: wire::Resources) -> Resources {
        Resources::checked(resources).expect("valid")
    }

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
        let r =
            checked(wire::Resources { memory_limit_bytes: 100, memory_swap_limit_bytes: 150, ..Default::default() });
        let v2 = writes(true, &r);
        assert_eq!(v2[1], optional("memory", "memory.swap.max", 50));
        let v1 = writes(false, &r);
        assert_eq!(v1[1], optional("memory", "memory.memsw.limit_in_bytes", 150));
    }

    #[test]
    fn minus_one_is_unlimited_and_zero_writes_nothing() {
        assert_eq!(writes(true, &Resources::default()), vec![]);
        let asked = wire::Resources { memory_limit_bytes: -1, cpu_quota_us: -1, pids_limit: -1, ..Default::default() };
        let r = checked(asked);
        let values = |v2| writes(v2, &r).into_iter().map(|w| w.value).collect::<Vec<_>>();
        assert_eq!(
            (values(true), values(false)),
            (vec!["max".to_owned(); 3], ["-1", "-1", "max"].map(String::from).to_vec())
        );
    }

    #[test]
    fn an_absent_hugepage_file_is_forgiven() {
        let hugepages = vec![HugepageLimit { page_size: "2MB".into(), limit_bytes: 0 }];
        let all = writes(true, &checked(wire::Resources { hugepages, ..Default::default() }));
        assert!(all.iter().all(|w| w.optional) && all[0].file == "hugetlb.2MB.max");
    }

    #[test]
    fn a_limit_without_its_controller_is_refused_unless_it_limits_nothing() {
        let dirs = Dirs { unified: None, v1: Vec::new(), is_v2: false };
        let failure = apply(&dirs, &checked(wire::Resources { cpu_shares: 5, ..Default::default() })).unwrap_err();
        assert_eq!(failure.kind(), Kind::FailedPrecondition);
        assert_eq!(failure.message, "set limit cpu.shares = 5: this machine has no cpu controller");
        let pages = |limit_bytes| {
            let hugepages = vec![HugepageLimit { page_size: "2MB".into(), limit_bytes }];
            checked(wire::Resources { hugepages, ..Default::default() })
        };
        assert_eq!(apply(&dirs, &pages(0)), Ok(()), "kubelet sends it on every machine");
        assert!(apply(&dirs, &pages(4096)).is_err());
    }

    #[test]
    fn each_line_of_a_unified_value_is_a_write_and_no_line_is_one() {
        let writes_of = |value: &str| {
            let unified = vec![UnifiedValue { file: "io.max".into(), value: value.into() }];
            let all = writes(true, &checked(wire::Resources { unified, ..Default::default() }));
            all.into_iter().map(|w| w.value).collect::<Vec<_>>()
        };
        assert_eq!(writes_of("8:0 rbps=1\n8:16 wbps=2\n"), ["8:0 rbps=1", "8:16 wbps=2"]);
        assert_eq!(writes_of(""), [""]);
    }
}
