// SPDX-License-Identifier: Apache-2.0
//! RemovePodSandbox: stop, remove the containers, then the record. Resumable at any point.

use super::Pod;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::{container, ids};
use std::sync::Arc;
use std::time::Duration;

/// How long a removal waits for the data to be deleted; a large directory is deleted after the answer.
const EMPTYING: Duration = Duration::from_secs(2);

/// Removes a pod with its containers.
///
/// # Errors
/// Those of stop and of the containers' removal; calling again is right.
pub async fn remove(node: &Arc<Node>, pod: &Arc<Pod>) -> Result<()> {
    let _turn = pod.verb.lock().await;
    if node.pods.get(pod.id()).is_none() {
        return Ok(());
    }
    super::stop::stop_held(node, pod).await?;
    for container in node.containers_of(pod.id()) {
        container::remove::remove(node, &container).await?;
    }
    delete_directories(node, pod.id()).await?;
    // Told once it has worked: a removal that fails is tried again.
    let turn = node.events.turn();
    turn.pod_deleted(node, pod);
    node.pods.remove(pod.id());
    drop(turn);
    tracing::info!(pod = ids::short(pod.id()), "pod is removed");
    Ok(())
}

/// Removes the directories of a pod that is torn down. The rename is the removal; the rest is housework.
///
/// # Errors
/// The kernel's, with the path.
pub async fn delete_directories(node: &Arc<Node>, id: &str) -> Result<()> {
    super::stop::remove_tree(&node.places.pod_run(id))?;
    discard(node, &node.places.pod_root(id), &format!("pod-{id}")).await
}

/// Moves a directory into the trash and empties the trash of it.
///
/// # Errors
/// The kernel's for the move. What cannot be deleted stays in the trash for the next start.
pub async fn discard(node: &Arc<Node>, dir: &std::path::Path, name: &str) -> Result<()> {
    let trash = node.places.trash().join(name);
    match std::fs::rename(dir, &trash) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        // A trash entry of the same id is left from a removal that was cut off; empty it first.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => {
            super::stop::remove_tree(&trash)?;
            std::fs::rename(dir, &trash).map_err(|e| Error::io("move to trash", dir, &e))?;
        }
        Err(e) => return Err(Error::io("move to trash", dir, &e)),
    }
    let emptying = tokio::task::spawn_blocking(move || {
        if let Err(error) = super::stop::remove_tree(&trash) {
            tracing::warn!(%error, "trash is not empty; it is tried again at the next start");
        }
    });
    let _ = tokio::time::timeout(EMPTYING, emptying).await;
    Ok(())
}
