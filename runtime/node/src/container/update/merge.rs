// SPDX-License-Identifier: Apache-2.0
//! The limits after a change that sets some of them.

use gorae_proto::cri::LinuxContainerResources;

/// The old limits with those that a change sets; 0, "" and an empty map leave a value unchanged.
pub fn merge(old: &LinuxContainerResources, change: &LinuxContainerResources) -> LinuxContainerResources {
    let number = |old: i64, new: i64| if new == 0 { old } else { new };
    let text = |old: &String, new: &String| if new.is_empty() { old.clone() } else { new.clone() };
    // "No swap" follows the memory limit: a request that sets only memory must not allow swap.
    let follows = change.memory_limit_in_bytes != 0 && old.memory_swap_limit_in_bytes == old.memory_limit_in_bytes;
    let old_swap = if follows { 0 } else { old.memory_swap_limit_in_bytes };
    let mut unified = old.unified.clone();
    unified.extend(change.unified.clone());
    let mut hugepages = old.hugepage_limits.clone();
    for limit in &change.hugepage_limits {
        match hugepages.iter_mut().find(|h| h.page_size == limit.page_size) {
            Some(same) => same.limit = limit.limit,
            None => hugepages.push(limit.clone()),
        }
    }
    LinuxContainerResources {
        cpu_period: number(old.cpu_period, change.cpu_period),
        cpu_quota: number(old.cpu_quota, change.cpu_quota),
        cpu_shares: number(old.cpu_shares, change.cpu_shares),
        memory_limit_in_bytes: number(old.memory_limit_in_bytes, change.memory_limit_in_bytes),
        oom_score_adj: number(old.oom_score_adj, change.oom_score_adj),
        cpuset_cpus: text(&old.cpuset_cpus, &change.cpuset_cpus),
        cpuset_mems: text(&old.cpuset_mems, &change.cpuset_mems),
        hugepage_limits: hugepages,
        unified,
        memory_swap_limit_in_bytes: number(old_swap, change.memory_swap_limit_in_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::order;
    use gorae_order::resources::Limit;
    use gorae_proto::shim::CgroupLayout;

    #[test]
    fn unset_values_stay_and_maps_merge() {
        let old = LinuxContainerResources {
            cpu_shares: 100,
            memory_limit_in_bytes: 5,
            cpuset_cpus: "0".into(),
            unified: [("memory.min".into(), "1".into())].into(),
            ..Default::default()
        };
        let change = LinuxContainerResources {
            cpu_quota: -1,
            unified: [("memory.high".into(), "2".into())].into(),
            ..Default::default()
        };
        let new = merge(&old, &change);
        assert_eq!((new.cpu_shares, new.cpu_quota, new.memory_limit_in_bytes), (100, -1, 5));
        assert_eq!((new.cpuset_cpus.as_str(), new.unified.len()), ("0", 2));
    }

    #[test]
    fn swap_stays_forbidden_when_the_memory_limit_alone_changes_and_stays_as_asked_otherwise() {
        let limits = |memory, swap| LinuxContainerResources {
            memory_limit_in_bytes: memory,
            memory_swap_limit_in_bytes: swap,
            ..Default::default()
        };
        let v2 = CgroupLayout { unified_has_controllers: true, ..Default::default() };
        for (old, change, both) in [
            (limits(64, 64), limits(96, 0), Limit::At(96)),
            (limits(64, 64), limits(32, 0), Limit::At(32)),
            (limits(64, 0), limits(96, 0), Limit::At(96)),
            (limits(64, 128), limits(96, 0), Limit::At(128)),
            (limits(64, 64), limits(0, 128), Limit::At(128)),
            (limits(64, 64), limits(-1, 0), Limit::Unlimited),
        ] {
            let checked = order::resources::build(Some(&merge(&old, &change)), &v2).expect("valid");
            assert_eq!(checked.memory_and_swap, Some(both), "{old:?} and {change:?}");
        }
    }
}
