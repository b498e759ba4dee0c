// SPDX-License-Identifier: Apache-2.0
//! RemoveContainer: kill the container if it runs, clean up everything that is left, then remove the record. It can be
//! resumed.

use super::Container;
use crate::disk;
use crate::error::Result;
use crate::node::Node;
use crate::{ids, trash};
use std::sync::Arc;
use std::time::Duration;

/// How long the shim of an ended container may take to remove the cgroup and exit.
const SHIM_EXIT_DEADLINE: Duration = Duration::from_secs(2);
/// How much longer it may take if it has hooks to run; slower hooks are not waited for.
const HOOKS_DEADLINE: Duration = Duration::from_secs(30);

/// Removes a container; its log stays.
///
/// # Errors
/// The errors of the stop; the kernel's errors for directories. The caller should retry.
pub async fn remove(node: &Arc<Node>, container: &Arc<Container>) -> Result<()> {
    super::stop::kill(&node.keeper, container).await?;
    let _verb = container.verb.lock().await;
    let record = container.record();
    if node.objects.containers.get(&record.id).is_none() {
        return Ok(());
    }
    // A start may have run between the stop and this lock.
    super::stop::kill(&node.keeper, container).await?;
    // A shim that was killed after reporting the end has left the cgroup behind.
    let hooks = if record.cdi.has_hook("poststop") { HOOKS_DEADLINE } else { Duration::ZERO };
    let left =
        !shim_exits(container, SHIM_EXIT_DEADLINE + hooks).await || node.machine.hierarchies.have(&record.cgroup);
    if container.has_ended() && left {
        node.keeper.settle(container, None).await?;
    }
    let name = format!("container-{}", record.id);
    trash::discard(&node.machine.places.trash(), &node.machine.places.container_root(&record.id), &name).await?;
    trash::remove_tree(&node.machine.places.container_run(&record.id))?;
    // Published only on success: a removal that fails is retried.
    {
        let transaction = node.events.transaction();
        node.objects.containers.remove(&record.id);
        transaction.container_deleted(container);
    }
    disk::blocking(|| node.images.release(&record.id));
    node.usage.stats.forget(&node.machine.places.container_root(&record.id).join("upper"));
    node.refresh_names_of(&record.pod_id).await;
    tracing::info!(container = ids::short(&record.id), "container is removed");
    Ok(())
}

/// Waits until the shim's connection ends; the shim removes the container's cgroup before that.
async fn shim_exits(container: &Arc<Container>, deadline: Duration) -> bool {
    tokio::time::timeout(deadline, container.line_is(|line| line.shim().is_none())).await.is_ok()
}
