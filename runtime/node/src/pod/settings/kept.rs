// SPDX-License-Identifier: Apache-2.0
//! The settings of a pod as they are now, on disk: `ROOT/pods/ID/settings`, once they differ from the request's.

use super::super::Pod;
use crate::disk;
use crate::error::Result;
use crate::places::Places;
use crate::{ids, records};
use gorae_proto::gorae::PodNetworkSettings;
use std::path::Path;
use std::sync::PoisonError;

/// Name and kind of the record.
pub const RECORD: &str = "settings";
const VERSION: u32 = 1;

/// The settings as they are now.
pub fn current(pod: &Pod) -> Option<PodNetworkSettings> {
    let changed = pod.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
    changed.or_else(|| pod.record.settings.clone())
}

/// Keeps changed settings, for a caller that holds the pod's verb lock.
///
/// # Errors
/// The kernel's error for the record; the earlier settings stay then.
pub fn keep(places: &Places, pod: &Pod, settings: PodNetworkSettings) -> Result<()> {
    records::write(&places.pod_root(pod.id()), RECORD, RECORD, VERSION, &settings)?;
    *pod.settings.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
    Ok(())
}

/// The changed settings of a pod, if any.
///
/// # Errors
/// When they are damaged, cannot be read, or were written by another program.
pub fn read(dir: &Path) -> Result<Option<PodNetworkSettings>> {
    records::read(&dir.join(RECORD), RECORD, VERSION)
}

/// Restores them at the daemon's start. Damaged ones count as absent.
pub fn restore(dir: &Path, pod: &Pod) {
    match disk::blocking(|| read(dir)) {
        Ok(found) => *pod.settings.lock().unwrap_or_else(PoisonError::into_inner) = found,
        Err(error) => {
            tracing::error!(pod = ids::short(pod.id()), %error, "cannot read which networks the pod was connected to");
        }
    }
}
