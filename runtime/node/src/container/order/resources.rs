// SPDX-License-Identifier: Apache-2.0
//! Resource limits: the CRI's numbers, checked.

use crate::error::{Error, Result};
use gorae_order::resources::{HugepageLimit, Limit, Resources};
use gorae_proto::cri::{self, LinuxContainerResources};
use gorae_proto::shim::CgroupLayout;
use std::collections::BTreeMap;

/// The range of `cpu.cfs_period_us` that the kernel allows, in microseconds.
const PERIOD_US: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;
/// The lowest quota that the kernel allows, in microseconds.
const MIN_QUOTA_US: i64 = 1_000;

/// Builds the limits; without a request there are none.
///
/// # Errors
/// `InvalidArgument` with the field and the allowed values; `FailedPrecondition` for a limit that this node's cgroups
/// cannot enforce.
pub fn build(asked: Option<&LinuxContainerResources>, layout: &CgroupLayout) -> Result<Resources> {
    let Some(asked) = asked else { return Ok(Resources::default()) };
    check_node(asked, layout)?;
    check_cpu(asked)?;
    check_memory(asked)?;
    let number = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
    Ok(Resources {
        cpu_period_us: number(asked.cpu_period),
        cpu_quota_us: Limit::parse(asked.cpu_quota),
        cpu_shares: number(asked.cpu_shares),
        memory: Limit::parse(asked.memory_limit_in_bytes),
        memory_and_swap: Limit::parse(memory_and_swap(asked)),
        cpuset_cpus: cpu_list("cpuset_cpus", &asked.cpuset_cpus)?,
        cpuset_mems: cpu_list("cpuset_mems", &asked.cpuset_mems)?,
        hugepages: asked.hugepage_limits.iter().map(hugepages).collect::<Result<_>>()?,
        // Sorted by name, so that the same request has the same effect each time.
        unified: asked.unified.iter().collect::<BTreeMap<_, _>>().into_iter().map(unified).collect::<Result<_>>()?,
        pids: None,
    })
}

/// A memory limit alone allows no swap. Otherwise a container would grow into the node's swap instead of being killed.
fn memory_and_swap(asked: &LinuxContainerResources) -> i64 {
    match (asked.memory_limit_in_bytes, asked.memory_swap_limit_in_bytes) {
        (limit, 0) => limit,
        (_, both) => both,
    }
}

/// Refuses a limit that no controller enforces. Kubelet sends a limit of 0 for each huge page size, even on nodes that
/// have no huge pages.
fn check_node(asked: &LinuxContainerResources, layout: &CgroupLayout) -> Result<()> {
    if layout.unified_has_controllers {
        return Ok(());
    }
    if let Some(file) = asked.unified.keys().min() {
        return Err(Error::precondition(format!(
            "unified: {file:?} is a cgroup v2 file, and this node uses cgroup v1"
        )));
    }
    let has = |controller: &str| layout.v1.iter().any(|h| h.controllers.iter().any(|c| c == controller));
    match limits_of(asked).into_iter().find(|(_, asked, controller)| *asked && !has(controller)) {
        Some((field, _, controller)) => {
            Err(Error::precondition(format!("{field}: this node uses cgroup v1 and has no {controller} controller")))
        }
        None => Ok(()),
    }
}

/// Each limit: its name, whether it is requested, and the v1 controller that enforces it.
fn limits_of(asked: &LinuxContainerResources) -> [(&'static str, bool, &'static str); 8] {
    [
        ("cpu_period", asked.cpu_period != 0, "cpu"),
        ("cpu_quota", asked.cpu_quota != 0, "cpu"),
        ("cpu_shares", asked.cpu_shares > 0, "cpu"),
        ("cpuset_cpus", !asked.cpuset_cpus.is_empty(), "cpuset"),
        ("cpuset_mems", !asked.cpuset_mems.is_empty(), "cpuset"),
        ("memory_limit_in_bytes", asked.memory_limit_in_bytes != 0, "memory"),
        ("memory_swap_limit_in_bytes", asked.memory_swap_limit_in_bytes != 0, "memory"),
        ("hugepage_limits", asked.hugepage_limits.iter().any(|pages| pages.limit > 0), "hugetlb"),
    ]
}

fn check_cpu(asked: &LinuxContainerResources) -> Result<()> {
    if asked.cpu_period != 0 && !PERIOD_US.contains(&asked.cpu_period) {
        return Err(Error::invalid(format!("cpu_period: {} µs is not in 1000..1000000", asked.cpu_period)));
    }
    if asked.cpu_quota < -1 || (1..MIN_QUOTA_US).contains(&asked.cpu_quota) {
        return Err(Error::invalid(format!("cpu_quota: {} µs is neither -1 nor at least 1000", asked.cpu_quota)));
    }
    if asked.cpu_shares < 0 {
        return Err(Error::invalid(format!("cpu_shares: {} is negative", asked.cpu_shares)));
    }
    Ok(())
}

fn check_memory(asked: &LinuxContainerResources) -> Result<()> {
    let (limit, swap) = (asked.memory_limit_in_bytes, asked.memory_swap_limit_in_bytes);
    for (field, value) in [("memory_limit_in_bytes", limit), ("memory_swap_limit_in_bytes", swap)] {
        if value < -1 {
            return Err(Error::invalid(format!("{field}: {value} is negative")));
        }
    }
    if limit <= 0 && swap > 0 {
        return Err(Error::invalid(format!(
            "memory_swap_limit_in_bytes: {swap} is memory plus swap, and there is no memory_limit_in_bytes"
        )));
    }
    if swap > 0 && swap < limit {
        return Err(Error::invalid(format!(
            "memory_swap_limit_in_bytes: {swap} is memory plus swap, and below the memory limit of {limit}"
        )));
    }
    Ok(())
}

/// Checks a list like `0-3,7`; `None` for an empty one, which sets nothing.
fn cpu_list(field: &str, text: &str) -> Result<Option<String>> {
    let number = |t: &str| t.parse::<u16>().ok();
    let good = |part: &str| match part.split_once('-') {
        Some((from, to)) => matches!((number(from), number(to)), (Some(a), Some(b)) if a <= b),
        None => number(part).is_some(),
    };
    match text {
        "" => Ok(None),
        list if list.split(',').all(good) => Ok(Some(list.to_owned())),
        other => Err(Error::invalid(format!("{field}: {other:?} is not a list like 0-3,7"))),
    }
}

fn hugepages(asked: &cri::HugepageLimit) -> Result<HugepageLimit> {
    let size = asked.page_size.trim_end_matches(['K', 'M', 'G', 'B']);
    if asked.page_size.len() <= 8 && size.parse::<u32>().is_ok() && asked.page_size.ends_with('B') {
        return Ok(HugepageLimit { page_size: asked.page_size.clone(), bytes: asked.limit });
    }
    Err(Error::invalid(format!("hugepage_limits: page size {:?} is not like 2MB", asked.page_size)))
}

fn unified((file, value): (&String, &String)) -> Result<(String, String)> {
    let name = file.split('.').count() >= 2
        && file.len() <= 64
        && file.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    // These files move processes or change control of the cgroup, which a limit must not do.
    let control = file.starts_with("cgroup.");
    if !name || control || value.len() > 4096 || value.contains('\0') {
        return Err(Error::invalid(format!("unified: {file:?} is not a valid cgroup v2 limit and value")));
    }
    Ok((file.clone(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2() -> CgroupLayout {
        CgroupLayout { unified_has_controllers: true, ..Default::default() }
    }

    #[test]
    fn what_version_1_cannot_keep_is_refused_there() {
        let v1 = CgroupLayout::default();
        let unified =
            LinuxContainerResources { unified: [("memory.high".into(), "1".into())].into(), ..Default::default() };
        assert!(build(Some(&unified), &v1).expect_err("v1").to_string().contains("memory.high"));
        let pages = |limit| LinuxContainerResources {
            hugepage_limits: vec![gorae_proto::cri::HugepageLimit { page_size: "2MB".into(), limit }],
            ..Default::default()
        };
        assert!(build(Some(&pages(0)), &v1).is_ok() && build(Some(&pages(4 << 20)), &v2()).is_ok());
        assert!(build(Some(&pages(4 << 20)), &v1).expect_err("no controller").to_string().contains("hugetlb"));
        let memory = LinuxContainerResources { memory_limit_in_bytes: 4096, ..Default::default() };
        let said = build(Some(&memory), &v1).expect_err("no controller").to_string();
        assert!(said.contains("memory_limit_in_bytes") && said.contains("no memory controller"), "{said}");
    }

    #[test]
    fn limits_out_of_range_name_their_field() {
        let base = LinuxContainerResources::default;
        let bad = [
            ("cpu_period", LinuxContainerResources { cpu_period: 10, ..base() }),
            ("cpu_quota", LinuxContainerResources { cpu_quota: -2, ..base() }),
            ("cpu_quota", LinuxContainerResources { cpu_quota: 5, ..base() }),
            ("cpu_shares", LinuxContainerResources { cpu_shares: -1, ..base() }),
            ("memory_limit", LinuxContainerResources { memory_limit_in_bytes: -5, ..base() }),
            (
                "memory_swap",
                LinuxContainerResources { memory_limit_in_bytes: 9, memory_swap_limit_in_bytes: 8, ..base() },
            ),
            ("memory_swap", LinuxContainerResources { memory_swap_limit_in_bytes: 8, ..base() }),
            ("cpuset_cpus", LinuxContainerResources { cpuset_cpus: "3-1".into(), ..base() }),
            ("cpuset_mems", LinuxContainerResources { cpuset_mems: "0\n1".into(), ..base() }),
            ("unified", LinuxContainerResources { unified: [("cgroup.procs".into(), "1".into())].into(), ..base() }),
            ("unified", LinuxContainerResources { unified: [("../x".into(), "1".into())].into(), ..base() }),
        ];
        for (field, resources) in bad {
            let error = build(Some(&resources), &v2()).expect_err(field).to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn usual_requests_pass_unchanged() {
        let asked = LinuxContainerResources {
            cpu_period: 100_000,
            cpu_quota: -1,
            cpu_shares: 102,
            memory_limit_in_bytes: 512 << 20,
            cpuset_cpus: "0-1,3".into(),
            unified: [("memory.oom.group".into(), "1".into())].into(),
            ..Default::default()
        };
        let built = build(Some(&asked), &v2()).expect("valid");
        assert_eq!((built.cpu_quota_us, built.memory), (Some(Limit::Unlimited), Some(Limit::At(512 << 20))));
        assert_eq!(
            (built.cpu_shares, built.cpuset_cpus.as_deref(), built.cpuset_mems),
            (Some(102), Some("0-1,3"), None)
        );
        assert_eq!(built.memory_and_swap, Some(Limit::At(512 << 20)), "no swap unless it is asked for");
        assert_eq!(built.unified, [("memory.oom.group".to_owned(), "1".to_owned())]);
    }
}
