// SPDX-License-Identifier: Apache-2.0
//! What becomes of an object whose record cannot be read: a damaged one costs its object, everything else stops the start.

use crate::error::{Error, Kind, Result};
use crate::places::Places;
use crate::records;
use std::path::Path;

/// What to do with an object whose record says nothing.
pub(super) fn set_aside(places: &Places, dir: &Path, name: &str, why: Error) -> Result<()> {
    match why.kind() {
        Kind::FailedPrecondition => return Err(anothers(why)),
        Kind::Unavailable => return Err(not_now(why)),
        _ => {}
    }
    tracing::error!(object = name, %why, kept_in = %places.damaged().display(), "record is unreadable; object is lost");
    let moved = records::make_private_dir(&places.damaged())
        .map_err(|e| e.to_string())
        .and_then(|()| std::fs::rename(dir, places.damaged().join(name)).map_err(|e| e.to_string()));
    if let Err(error) = moved {
        tracing::error!(object = name, error, "cannot move it aside");
    }
    Ok(())
}

pub(super) fn anothers(why: Error) -> Error {
    why.during("not started, and nothing was touched")
}

pub(super) fn not_now(why: Error) -> Error {
    why.during("not started, for what cannot be read now is in use; start again, or move it away to give it up")
}
