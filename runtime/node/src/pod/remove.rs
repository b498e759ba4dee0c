// SPDX-License-Identifier: Apache-2.0
//! RemovePodSandbox: stop the pod, remove its containers, then its record. It can be resumed at any point.

use super::Pod;
use crate::error::Result;
use crate::ids::{self, PodId};
use crate::node::Node;
use crate::places::Places;
use crate::{container, trash};
use std::sync::Arc;

/// Removes a pod with its containers.
///
/// # Errors
/// The errors of the stop and of the containers' removal; the caller should retry.
pub async fn remove(node: &Arc<Node>, pod: &Arc<Pod>) -> Result<()> {
    let _verb = pod.verb.lock().await;
    if node.objects.pods.get(pod.id()).is_none() {
        return Ok(());
    }
    super::stop::stop_held(node, pod).await?;
    for container in node.objects.of_pod(pod.id()) {
        container::remove::remove(node, &container).await?;
    }
    delete_directories(&node.machine.places, pod.id()).await?;
    // Published only on success: a removal that fails is retried.
    let transaction = node.events.transaction();
    transaction.pod_deleted(pod);
    node.objects.pods.remove(pod.id());
    drop(transaction);
    tracing::info!(pod = ids::short(pod.id()), "pod is removed");
    Ok(())
}

/// Removes the directories of a pod that was torn down. The rename is the removal; the data is deleted later.
///
/// # Errors
/// The kernel's error, with the path.
pub async fn delete_directories(places: &Places, id: &PodId) -> Result<()> {
    trash::remove_tree(&places.pod_run(id))?;
    trash::discard(&places.trash(), &places.pod_root(id), &format!("pod-{id}")).await
}
