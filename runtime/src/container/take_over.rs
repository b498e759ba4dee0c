// SPDX-License-Identifier: Apache-2.0
//! A container that goes on with the writable layer of an ended one.
//!
//! People expect `start` of a stopped container to find its files again, and the CRI has no way from EXITED to
//! RUNNING. So the command line makes a new attempt and names the old container in an annotation; the layer moves
//! when the new one starts, by one rename, so that a crash leaves it with one or the other.

use super::{Container, Record, State};
use crate::error::{Error, Result};
use crate::ids;
use crate::node::Node;
use std::io::ErrorKind;
use std::sync::Arc;

/// The annotation of the new container; its value is the old one's id.
pub const ANNOTATION: &str = "dev.gorae.continue";

/// Checks at create that the old container can be continued.
///
/// # Errors
/// `NotFound` for the old container, `FailedPrecondition` when it runs or has another image.
pub fn check(node: &Node, record: &Record) -> Result<()> {
    let Some(old) = record.config.annotations.get(ANNOTATION) else { return Ok(()) };
    ended(node, record, old).map(|_| ())
}

/// Moves the layer, when it has not moved already.
///
/// # Errors
/// As [`check`]; `FailedPrecondition` when the old container ran and its layer is not there any more: it was removed
/// meanwhile, or another one goes on with it. The kernel's for the rename.
pub async fn take_over(node: &Node, record: &Record) -> Result<()> {
    let Some(old) = record.config.annotations.get(ANNOTATION) else { return Ok(()) };
    let to = node.places.container_root(&record.id).join("upper");
    if to.exists() {
        return Ok(());
    }
    let old = ended(node, record, old)?;
    let _turn = old.verb.lock().await;
    let id = old.record().id.clone();
    let from = node.places.container_root(&id).join("upper");
    match std::fs::rename(&from, &to) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("take over", &from, &e)),
        // One that never ran has no files, and a failed start leaves no layer.
        Err(_) if node.containers.get(&id).is_some() && !has_run(&old.state()) => Ok(()),
        Err(_) => Err(Error::precondition(format!(
            "the files of container {} are not there any more: it was removed, or another container has taken them over",
            ids::short(&id)
        ))),
    }
}

fn has_run(state: &State) -> bool {
    matches!(state, State::Exited(exit) if exit.started_at > 0)
}

fn ended(node: &Node, record: &Record, old: &str) -> Result<Arc<Container>> {
    let old = node.containers.find(old).map_err(|e| e.during(format!("annotation {ANNOTATION}")))?;
    let old_record = old.record();
    if old_record.id == record.id || !matches!(old.state(), State::Exited(_)) {
        return Err(Error::precondition(format!("container {} has not ended", ids::short(&old_record.id))));
    }
    if old_record.image.id != record.image.id {
        return Err(Error::precondition("the container to continue was made from another image"));
    }
    Ok(old)
}
