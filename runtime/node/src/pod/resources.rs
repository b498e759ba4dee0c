// SPDX-License-Identifier: Apache-2.0
//! UpdatePodSandboxResources: the resources that the pod now has, as kubelet reports them. They change nothing on the
//! machine, because kubelet sets the limits of the pod's cgroup itself. They are kept and shown.

use super::{Pod, Resources};
use crate::disk;
use crate::error::Result;
use crate::objects::Objects;
use crate::places::Places;
use crate::{ids, records};
use std::path::Path;
use std::sync::PoisonError;

/// Name and kind of the record.
const RESOURCES: &str = "resources";
const VERSION: u32 = 1;

/// Keeps what kubelet reported.
///
/// # Errors
/// `NotFound` for the pod; the kernel's error for the record, and then the earlier report stays valid.
pub async fn update(objects: &Objects, places: &Places, pod_id: &str, change: Resources) -> Result<()> {
    let pod = objects.pods.find(pod_id)?;
    // One at a time, and none for a pod that is being removed.
    let _verb = pod.verb.lock().await;
    let pod = objects.pods.find(pod.id())?;
    records::write(&places.pod_root(pod.id()), RESOURCES, RESOURCES, VERSION, &change)?;
    *pod.resources.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
    Ok(())
}

/// The latest report, if any.
///
/// # Errors
/// When it is damaged, cannot be read, or was written by another program.
pub fn kept(dir: &Path) -> Result<Option<Resources>> {
    records::read(&dir.join(RESOURCES), RESOURCES, VERSION)
}

/// Restores the latest report from disk at the daemon's start. A damaged one counts as absent.
pub fn restore(dir: &Path, pod: &Pod) {
    match disk::blocking(|| kept(dir)) {
        Ok(found) => *pod.resources.lock().unwrap_or_else(PoisonError::into_inner) = found,
        Err(error) => {
            tracing::error!(pod = ids::short(pod.id()), %error, "cannot read the resources reported for the pod")
        }
    }
}
