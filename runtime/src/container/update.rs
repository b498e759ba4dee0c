// SPDX-License-Identifier: Apache-2.0
//! UpdateContainerResources: change limits in place, all or nothing.

use super::{Container, RECORD_KIND, RECORD_VERSION, State, spec};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::{ids, records};
use gorae_proto::cri::LinuxContainerResources;
use gorae_proto::shim::{UpdateResources, request::Verb};
use std::sync::Arc;

/// Puts new limits in force: at once for a running container, at its start for a created one.
///
/// - Shapes: 0, "" and an empty map leave a value as it is; maps are merged.
///
/// # Errors
/// `InvalidArgument` with the field; `FailedPrecondition` for an ended container; the shim's failure, and
/// then the old limits are in force again.
pub async fn update(node: &Arc<Node>, container: &Arc<Container>, change: &LinuxContainerResources) -> Result<()> {
    let _turn = container.verb.lock().await;
    let record = container.record();
    let title = format!("update resources of container {}", ids::short(&record.id));
    let old = record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let new = merge(&old, change);
    let checked = spec::resources::build(Some(&new), &node.layout).map_err(|e| e.during(&title))?;
    let shim = match container.state() {
        State::Running { .. } => Some(container.running_shim()?),
        State::Created => None,
        other => return Err(Error::precondition(format!("{title}: it is {}", other.word()))),
    };
    if let Some(shim) = &shim {
        let verb = Verb::UpdateResources(UpdateResources { resources: Some(checked) });
        shim.call(verb).await.map_err(|e| e.during(&title))?;
    }
    let mut changed = (*record).clone();
    changed.config.linux.get_or_insert_default().resources = Some(new);
    let dir = node.places.container_root(&record.id);
    if let Err(error) = records::write(&dir, "record", RECORD_KIND, RECORD_VERSION, &changed) {
        return Err(put_back(node, shim, &old, error).await.during(title));
    }
    container.set_record(Arc::new(changed));
    Ok(())
}

/// The record could not be written: the kernel's values must not differ from it.
async fn put_back(node: &Node, shim: Option<crate::shims::Shim>, old: &LinuxContainerResources, error: Error) -> Error {
    let Some(shim) = shim else { return error };
    let resources = match spec::resources::build(Some(old), &node.layout) {
        Ok(resources) => resources,
        Err(undo) => return error.and_undo_failed(&undo),
    };
    match shim.call(Verb::UpdateResources(UpdateResources { resources: Some(resources) })).await {
        Ok(_) => error,
        Err(undo) => error.and_undo_failed(&undo),
    }
}

fn merge(old: &LinuxContainerResources, change: &LinuxContainerResources) -> LinuxContainerResources {
    let number = |old: i64, new: i64| if new == 0 { old } else { new };
    let text = |old: &String, new: &String| if new.is_empty() { old.clone() } else { new.clone() };
    // "No swap" follows the memory limit: a request that names memory alone does not bring swap.
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
        for (old, change, both) in [
            (limits(64, 64), limits(96, 0), 96),
            (limits(64, 64), limits(32, 0), 32),
            (limits(64, 0), limits(96, 0), 96),
            (limits(64, 128), limits(96, 0), 128),
            (limits(64, 64), limits(0, 128), 128),
            (limits(64, 64), limits(-1, 0), -1),
        ] {
            let checked = spec::resources::build(Some(&merge(&old, &change)), &CgroupLayout::default()).expect("valid");
            assert_eq!(checked.memory_swap_limit_bytes, both, "{old:?} and {change:?}");
        }
    }
}
