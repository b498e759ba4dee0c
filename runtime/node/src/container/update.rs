// SPDX-License-Identifier: Apache-2.0
//! UpdateContainerResources: change limits in place, all or nothing.
//!
//! While a change is under way the container has two records: `record`, which says the new limits already, and
//! `record.old`. The shim then puts the new ones in force, or none of them; the old record goes, or comes back. A
//! change that a killed daemon or a silent shim has left open is put in force once more, which also tells whether it
//! can be, before anything else is changed, and at the start.

use super::{Container, RECORD_KIND, RECORD_VERSION, Record, State, spec};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::node::Node;
use crate::{ids, records};
use gorae_proto::cri::{self, LinuxContainerResources};
use gorae_proto::shim::{UpdateResources, request::Verb};
use std::path::Path;
use std::sync::Arc;

/// The record that is valid again when a change is refused.
pub(crate) const OLD: &str = "record.old";

/// Puts new limits in force: at once for a running container, at its start for a created one.
///
/// - Shapes: 0, "" and an empty map leave a value as it is; maps are merged.
///
/// # Errors
/// `InvalidArgument` with the field; `FailedPrecondition` for an ended container; the shim's failure, and
/// then the old limits are in force again.
pub async fn update(node: &Arc<Node>, container: &Arc<Container>, change: &LinuxContainerResources) -> Result<()> {
    let _verb = container.verb.lock().await;
    let title = format!("update resources of container {}", ids::short(&container.record().id));
    let done = async {
        settle(node, container).await?;
        change_to(node, container, change).await
    };
    done.await.map_err(|e| e.during(title))
}

async fn change_to(node: &Node, container: &Container, change: &LinuxContainerResources) -> Result<()> {
    let record = container.record();
    let old = record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let mut changed = (*record).clone();
    changed.first_resources.get_or_insert_with(|| {
        let linux = record.config.linux.as_ref().and_then(|l| l.resources.clone());
        cri::ContainerResources { linux, windows: None }
    });
    changed.config.linux.get_or_insert_default().resources = Some(merge(&old, change));
    // What cannot be at all is refused before anything is written.
    let wanted = message(node, &record, &changed)?;
    let shim = match container.state() {
        State::Running { .. } => Some(container.running_shim()?),
        State::Created => None,
        other => return Err(Error::precondition(format!("it is {}", other.word()))),
    };
    let dir = node.machine.places.container_root(&record.id);
    begin(&dir, &record, &changed)?;
    if let Some(shim) = &shim
        && let Err(error) = shim.call(Verb::UpdateResources(wanted)).await
    {
        return Err(if error.says_nothing() { error.into() } else { take_back(&dir, error.into()) });
    }
    container.set_record(Arc::new(changed));
    finish(&dir);
    Ok(())
}

/// Ends a change that was left open; the caller holds the container's verb.
///
/// # Errors
/// `Unavailable` and `DeadlineExceeded` while the shim does not answer; the kernel's for the records.
async fn settle(node: &Node, container: &Container) -> Result<()> {
    let dir = node.machine.places.container_root(&container.record().id);
    let read = |name: &str| records::read::<Record>(&dir.join(name), RECORD_KIND, RECORD_VERSION);
    let (old, new) = match (read(OLD), read("record")) {
        (Ok(None), _) => return Ok(()),
        (Err(error), _) if error.kind() == Kind::Internal => {
            tracing::error!(%error, "nobody knows any more what a change of limits that was cut off began with");
            finish(&dir);
            return Ok(());
        }
        (Ok(Some(old)), Ok(Some(new))) => (old, new),
        (Err(error), _) | (_, Err(error)) => return Err(error),
        (_, Ok(None)) => return Err(Error::internal(format!("there is no record in {}", dir.display()))),
    };
    if matches!(container.state(), State::Running { .. }) {
        let shim = container.running_shim()?;
        let again = match message(node, &old, &new) {
            Ok(message) => shim.call(Verb::UpdateResources(message)).await.map_err(|e| (e.says_nothing(), e.into())),
            Err(error) => Err((false, error)),
        };
        match again {
            Err((true, error)) => return Err(error),
            Err((false, error)) => {
                tracing::warn!(container = ids::short(&old.id), %error, "a change of limits was cut off; the old ones stay");
                records::replace(&dir, OLD, "record")?;
                container.set_record(Arc::new(old));
                return Ok(());
            }
            Ok(_) => {}
        }
    }
    container.set_record(Arc::new(new));
    finish(&dir);
    Ok(())
}

/// `settle` for a container that was just taken back, in the background: its verb may be busy for long.
pub fn settle_soon(node: &Arc<Node>, container: &Arc<Container>) {
    if !node.machine.places.container_root(&container.record().id).join(OLD).exists() {
        return;
    }
    let (node, container) = (node.clone(), container.clone());
    tokio::spawn(async move {
        let _verb = container.verb.lock().await;
        if let Err(error) = settle(&node, &container).await {
            let id = container.record().id.clone();
            tracing::error!(container = ids::short(&id), %error, "a change of limits was cut off and stays open");
        }
    });
}

/// What the shim is told: all limits, and the score when it changes, for programs may have changed their own.
fn message(node: &Node, old: &Record, new: &Record) -> Result<UpdateResources> {
    let of = |record: &Record| record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let (old, new) = (of(old), of(new));
    let score = spec::process::oom_score_adj(&new)?;
    Ok(UpdateResources {
        resources: Some(spec::resources::build(Some(&new), &node.machine.layout)?),
        oom_score_adj: (new.oom_score_adj != old.oom_score_adj).then_some(score),
    })
}

/// Writes both records; after an error the old one is valid, as before.
fn begin(dir: &Path, old: &Record, new: &Record) -> Result<()> {
    disk::blocking(|| {
        records::write(dir, OLD, RECORD_KIND, RECORD_VERSION, old)?;
        records::write(dir, "record", RECORD_KIND, RECORD_VERSION, new).inspect_err(|_| finish(dir))
    })
}

/// Makes the old record valid again.
fn take_back(dir: &Path, error: Error) -> Error {
    match records::replace(dir, OLD, "record") {
        Ok(()) => error,
        Err(undo) => error.and_undo_failed(&undo),
    }
}

/// Drops the old record. One that stays costs another look at the start.
fn finish(dir: &Path) {
    if let Err(error) = disk::blocking(|| std::fs::remove_file(dir.join(OLD))) {
        tracing::warn!(path = %dir.join(OLD).display(), %error, "cannot remove the record of the old limits");
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
        let v2 = CgroupLayout { unified_has_controllers: true, ..Default::default() };
        for (old, change, both) in [
            (limits(64, 64), limits(96, 0), 96),
            (limits(64, 64), limits(32, 0), 32),
            (limits(64, 0), limits(96, 0), 96),
            (limits(64, 128), limits(96, 0), 128),
            (limits(64, 64), limits(0, 128), 128),
            (limits(64, 64), limits(-1, 0), -1),
        ] {
            let checked = spec::resources::build(Some(&merge(&old, &change)), &v2).expect("valid");
            assert_eq!(checked.memory_swap_limit_bytes, both, "{old:?} and {change:?}");
        }
    }
}
