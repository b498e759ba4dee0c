// SPDX-License-Identifier: Apache-2.0
//! Reads every record before the socket opens, so that the first list is complete.

use super::found::Found;
use super::listing::ids_in;
use super::strays::Strays;
use super::{containers, pods};
use crate::error::Result;
use crate::ids::{ContainerId, OfContainer, OfPod, PodId};
use crate::places::Places;
use crate::trash::remove_quietly;
use std::collections::HashSet;

/// Reads all records. Directories of damaged ones are moved to `ROOT/damaged`.
///
/// # Errors
/// When a directory or a record cannot be read: its objects may be in use, and their resources would be reallocated or
/// ended. When another program has written a record that this one does not understand: a start would end its pods.
pub fn read(places: &Places, boot_id: &str) -> Result<Found> {
    let mut found = Found::default();
    for id in ids_in(&places.root.join("pods"))? {
        pods::read(places, &id, boot_id, &mut found)?;
    }
    for id in ids_in(&places.root.join("containers"))? {
        containers::read(places, &id, &mut found)?;
    }
    // Everything could be read: from now on a record cannot make the start fail.
    found.damaged.iter().for_each(|object| object.set_aside(places));
    found.unbegun.iter().for_each(|dir| remove_quietly(dir));
    // Listed now, before new pods and containers exist.
    found.strays = without_record(places, &found)?;
    Ok(found)
}

/// The run directories of objects that have no record.
fn without_record(places: &Places, found: &Found) -> Result<Strays> {
    let pods = found.pods.iter().map(|(record, _)| record).chain(&found.half_made);
    let pods: HashSet<&PodId> = pods.map(|record| &record.id).collect();
    let containers: HashSet<&ContainerId> = found.containers.iter().map(|record| &record.id).collect();
    let mut strays = Strays {
        pods: ids_in::<OfPod>(&places.state.join("pods"))?,
        containers: ids_in::<OfContainer>(&places.state.join("containers"))?,
    };
    strays.pods.retain(|id| !pods.contains(id));
    strays.containers.retain(|id| !containers.contains(id));
    Ok(strays)
}
