// SPDX-License-Identifier: Apache-2.0
//! Reads the records of one container.

use super::found::Found;
use super::unreadable::{Damaged, anothers, check_owner, not_now};
use crate::container::{self, Record, end};
use crate::error::{Kind, Result};
use crate::ids::ContainerId;
use crate::places::Places;
use crate::records;

/// Adds a container to the findings.
///
/// # Errors
/// A failure that must keep the daemon from starting.
pub(super) fn read(places: &Places, id: &ContainerId, found: &mut Found) -> Result<()> {
    let dir = places.container_root(id);
    match records::read::<Record>(&dir.join("record"), container::RECORD_KIND, container::RECORD_VERSION) {
        Ok(Some(record)) => {
            check_owner(&dir, id, &record.id)?;
            check_other_records(places, id)?;
            found.containers.push(record);
        }
        Ok(None) => found.unbegun.push(dir),
        Err(error) => found.damaged.push(Damaged::judge(&dir, format!("container-{id}"), error)?),
    }
    Ok(())
}

/// Checks the records of a container that are read later, when it is too late to refuse the start.
fn check_other_records(places: &Places, id: &ContainerId) -> Result<()> {
    let dir = places.container_root(id);
    let end = match end::kept(&dir) {
        // Continuing would turn a known end into an unknown one.
        Err(error) if error.kind() == Kind::Unavailable => return Err(not_now(error)),
        end => end.map(drop),
    };
    let (kind, version) = (container::RECORD_KIND, container::RECORD_VERSION);
    let old = records::read::<Record>(&dir.join(container::update::OLD), kind, version).map(drop);
    let state = container::read_state(&places.container_run(id)).map(drop);
    match [end, old, state].into_iter().filter_map(Result::err).find(|e| e.kind() == Kind::FailedPrecondition) {
        Some(error) => Err(anothers(error)),
        None => Ok(()),
    }
}
