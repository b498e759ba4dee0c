// SPDX-License-Identifier: Apache-2.0
//! UpdateContainerResources: changes limits in place, all of them or none.
//!
//! While a change is in flight the container has two records (`records.rs`): the shim puts all of the new limits in force
//! or none, and then the old record is dropped or becomes valid again. A killed daemon or a silent shim may leave a change
//! open. It is sent again at the daemon's start, and before the next change; that also shows whether it is possible.

mod merge;
mod records;

pub(crate) use records::OLD;

use super::{Container, Record, State, order};
use crate::disk;
use crate::error::{Error, Result};
use crate::ids;
use crate::machine::Machine;
use gorae_order::wire;
use gorae_proto::cri::{self, LinuxContainerResources};
use gorae_proto::shim::UpdateResources;
use merge::merge;
use records::Interrupted;
use std::path::Path;
use std::sync::Arc;

/// Puts new limits in force: at once for a running container, at the start for a created one.
///
/// - Shapes: 0, "" and an empty map leave a value unchanged; maps are merged.
///
/// # Errors
/// `InvalidArgument` with the field; `FailedPrecondition` for an ended container; the shim's failure, after which the old
/// limits are in force again.
pub async fn update(machine: &Machine, container: &Arc<Container>, change: &LinuxContainerResources) -> Result<()> {
    let _verb = container.verb.lock().await;
    let title = format!("update resources of container {}", ids::short(&container.record().id));
    let done = async {
        settle(machine, container).await?;
        change_to(machine, container, change).await
    };
    done.await.map_err(|e| e.during(title))
}

async fn change_to(machine: &Machine, container: &Container, change: &LinuxContainerResources) -> Result<()> {
    let record = container.record();
    let old = record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let mut changed = (*record).clone();
    changed.first_resources.get_or_insert_with(|| {
        let linux = record.config.linux.as_ref().and_then(|l| l.resources.clone());
        cri::ContainerResources { linux, windows: None }
    });
    changed.config.linux.get_or_insert_default().resources = Some(merge(&old, change));
    // An impossible change is refused before anything is written.
    let wanted = message(machine, &record, &changed)?;
    let shim = match container.state() {
        State::Running { .. } => Some(container.running_shim()?),
        State::Created => None,
        other => return Err(Error::precondition(format!("the container is {}", other.word()))),
    };
    let dir = machine.places.container_root(&record.id);
    records::begin(&dir, &record, &changed)?;
    if let Some(shim) = &shim
        && let Err(error) = shim.update(wanted).await
    {
        return Err(if error.says_nothing() { error.into() } else { roll_back(&dir, error.into()) });
    }
    container.set_record(Arc::new(changed));
    records::finish(&dir);
    Ok(())
}

/// Ends a change that was left open; the caller holds the container's verb.
///
/// # Errors
/// `Unavailable` and `DeadlineExceeded` while the shim does not respond; the kernel's errors for the records.
async fn settle(machine: &Machine, container: &Container) -> Result<()> {
    let dir = machine.places.container_root(&container.record().id);
    let Some(Interrupted { old, new }) = records::interrupted(&dir)? else { return Ok(()) };
    if matches!(container.state(), State::Running { .. }) {
        let shim = container.running_shim()?;
        let again = match message(machine, &old, &new) {
            Ok(message) => shim.update(message).await.map_err(|e| (e.says_nothing(), e.into())),
            Err(error) => Err((false, error)),
        };
        match again {
            Err((true, error)) => return Err(error),
            Err((false, error)) => {
                let container_id = ids::short(&old.id);
                tracing::warn!(container = container_id, %error, "an update was interrupted; keeping the old limits");
                records::roll_back(&dir)?;
                container.set_record(Arc::new(old));
                return Ok(());
            }
            Ok(()) => {}
        }
    }
    container.set_record(Arc::new(new));
    records::finish(&dir);
    Ok(())
}

/// Settles in the background, for a container that was just taken back: another verb may hold it for a long time.
pub fn settle_soon(machine: &Arc<Machine>, container: &Arc<Container>) {
    let old = machine.places.container_root(&container.record().id).join(OLD);
    if !disk::blocking(|| old.exists()) {
        return;
    }
    let (machine, container) = (machine.clone(), container.clone());
    tokio::spawn(async move {
        let _verb = container.verb.lock().await;
        if let Err(error) = settle(&machine, &container).await {
            let id = container.record().id.clone();
            tracing::error!(container = ids::short(&id), %error, "an update of limits was interrupted and stays open");
        }
    });
}

/// The update for the shim: all limits. The OOM score only if it changes, because programs may have changed their own.
fn message(machine: &Machine, old: &Record, new: &Record) -> Result<UpdateResources> {
    let of = |record: &Record| record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    let (old, new) = (of(old), of(new));
    let score = order::process::oom_score_adj(&new)?;
    Ok(UpdateResources {
        resources: Some(wire::resources(order::resources::build(Some(&new), &machine.layout)?)),
        oom_score_adj: (new.oom_score_adj != old.oom_score_adj).then(|| wire::oom_score_adj(score)),
    })
}

/// Makes the old record valid again after a change that failed.
fn roll_back(dir: &Path, error: Error) -> Error {
    match records::roll_back(dir) {
        Ok(()) => error,
        Err(undo) => error.and_undo_failed(&undo),
    }
}
