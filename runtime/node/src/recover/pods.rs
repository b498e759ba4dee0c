// SPDX-License-Identifier: Apache-2.0
//! Reads the records of one pod.

use super::found::Found;
use super::unreadable::{Damaged, anothers, check_owner, not_now};
use crate::error::{Error, Kind, Result};
use crate::ids::{self, PodId};
use crate::places::Places;
use crate::pod::{self, Up};
use crate::records;
use std::path::Path;

/// Adds a pod to the findings.
///
/// # Errors
/// A failure that must keep the daemon from starting.
pub(super) fn read(places: &Places, id: &PodId, boot_id: &str, found: &mut Found) -> Result<()> {
    let (dir, run_dir) = (places.pod_root(id), places.pod_run(id));
    if run_dir.try_exists().map_err(|e| not_now(Error::io("look for", &run_dir, &e)))? {
        found.present.insert(id.clone());
    }
    match read_record(&dir.join("record")) {
        Ok(Some(record)) => {
            check_owner(&dir, id, &record.id)?;
            let others = [pod::resources::kept(&dir).map(drop), pod::settings::read(&dir).map(drop)];
            // A damaged one, and one that cannot be read now, is logged where it is restored.
            let of_others = |e: &Error| e.kind() == Kind::FailedPrecondition;
            if let Some(error) = others.into_iter().filter_map(Result::err).find(of_others) {
                return Err(anothers(error));
            }
            let up = read_up(&run_dir)?.filter(|up| up.boot_id == boot_id);
            found.pods.push((record, up));
            Ok(())
        }
        Ok(None) => read_half_made(&dir, id, found),
        Err(error) => {
            found.damaged.push(Damaged::judge(&dir, format!("pod-{id}"), error)?);
            Ok(())
        }
    }
}

/// Reads the record of a pod that this program can run.
fn read_record(path: &Path) -> Result<Option<pod::Record>> {
    records::read_with(path, pod::RECORD_KIND, pod::RECORD_VERSION, |body| {
        let record: pod::Record = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        record.check_known().map(|()| record)
    })
}

/// Reads the record that marks a pod as up. A damaged one counts as absent: the pod is stopped.
fn read_up(run_dir: &Path) -> Result<Option<Up>> {
    match records::read::<Up>(&run_dir.join(pod::UP_KIND), pod::UP_KIND, pod::UP_VERSION) {
        Err(error) if error.kind() == Kind::Unavailable => Err(not_now(error)),
        Err(error) if error.kind() == Kind::FailedPrecondition => Err(anothers(error)),
        read => Ok(read.ok().flatten()),
    }
}

fn read_half_made(dir: &Path, id: &PodId, found: &mut Found) -> Result<()> {
    match read_record(&dir.join("record.new")) {
        Ok(Some(record)) => {
            check_owner(dir, id, &record.id)?;
            found.half_made.push(record);
        }
        Err(error) if error.kind() == Kind::Unavailable => return Err(not_now(error)),
        Err(error) if error.kind() == Kind::FailedPrecondition => return Err(anothers(error)),
        // The daemon was killed while it wrote the intent: nothing else was done yet.
        Ok(None) | Err(_) => {
            tracing::info!(pod = ids::short(id), "creation of the pod was interrupted before anything was made");
            found.unbegun.push(dir.to_owned());
        }
    }
    Ok(())
}
