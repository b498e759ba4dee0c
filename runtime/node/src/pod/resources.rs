// SPDX-License-Identifier: Apache-2.0
//! UpdatePodSandboxResources: what kubelet says that the pod has by now. It changes nothing on the machine, where kubelet
//! sets the limits of the pod's cgroup itself; it is kept and shown.

use super::{Pod, Resources};
use crate::disk;
use crate::error::Result;
use crate::node::Node;
use crate::{ids, records};
use std::path::Path;
use std::sync::PoisonError;

/// Name and kind of the record.
const RESOURCES: &str = "resources";
const VERSION: u32 = 1;

/// Keeps the latest word.
///
/// # Errors
/// `NotFound` for the pod; the kernel's for the record, and then the word before counts.
pub async fn update(node: &Node, pod_id: &str, change: Resources) -> Result<()> {
    let pod = node.objects.pods.find(pod_id)?;
    // One after the other, and none for a pod that is being removed.
    let _verb = pod.verb.lock().await;
    let pod = node.objects.pods.find(pod.id())?;
    records::write(&node.machine.places.pod_root(pod.id()), RESOURCES, RESOURCES, VERSION, &change)?;
    *pod.resources.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
    Ok(())
}

/// The latest word, if there is one.
///
/// # Errors
/// When it is damaged, cannot be read, or another program has written it.
pub fn kept(dir: &Path) -> Result<Option<Resources>> {
    records::read(&dir.join(RESOURCES), RESOURCES, VERSION)
}

/// Takes the latest word from the disk, at the daemon's start. A damaged one is none.
pub fn restore(dir: &Path, pod: &Pod) {
    match disk::blocking(|| kept(dir)) {
        Ok(found) => *pod.resources.lock().unwrap_or_else(PoisonError::into_inner) = found,
        Err(error) => {
            tracing::error!(pod = ids::short(pod.id()), %error, "its changed resources are not known any more")
        }
    }
}
