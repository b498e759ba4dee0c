// SPDX-License-Identifier: Apache-2.0
//! Handles records that cannot be read. A damaged one costs its object; anything else stops the start.

use crate::error::{Error, Kind, Result};
use crate::ids::Id;
use crate::places::Places;
use crate::records;
use std::path::{Path, PathBuf};

/// An object that is lost, because its record is damaged.
#[derive(Debug)]
pub(super) struct Damaged {
    dir: PathBuf,
    name: String,
    why: Error,
}

impl Damaged {
    /// Decides what an unusable record means for the start.
    ///
    /// # Errors
    /// The reason to refuse the start: the record cannot be read now, or another program wrote it.
    pub(super) fn judge(dir: &Path, name: String, why: Error) -> Result<Self> {
        match why.kind() {
            Kind::FailedPrecondition => Err(anothers(why)),
            Kind::Unavailable => Err(not_now(why)),
            _ => Ok(Self { dir: dir.to_owned(), name, why }),
        }
    }

    /// Moves the object's directory to `ROOT/damaged`, for inspection. Call it once everything else was read: a start that
    /// fails must touch nothing.
    pub(super) fn set_aside(&self, places: &Places) {
        let (object, place) = (&self.name, places.damaged());
        tracing::error!(object, why = %self.why, kept_in = %place.display(), "a record is damaged; its object is lost");
        let moved = records::make_private_dir(&place).and_then(|()| {
            let to = place.join(&self.name);
            std::fs::rename(&self.dir, &to).map_err(|e| Error::io("rename to", &to, &e))
        });
        if let Err(error) = moved {
            tracing::error!(object, %error, "cannot move the damaged object aside");
        }
    }
}

/// Refuses a whole record in the directory of another object: continuing would end the processes of that object.
///
/// # Errors
/// `FailedPrecondition` with both ids.
pub(super) fn check_owner<K>(dir: &Path, id: &Id<K>, said: &Id<K>) -> Result<()> {
    if said == id {
        return Ok(());
    }
    let said = &said[..said.floor_char_boundary(64)];
    let record = dir.join("record");
    let why = format!("{} is a whole record of {said:?}; move its directory aside to abandon it", record.display());
    Err(anothers(Error::precondition(why)))
}

/// The error of a start that found a record of another program.
pub(super) fn anothers(why: Error) -> Error {
    why.during("refusing to start, and nothing was touched")
}

/// The error of a start that could not read a record now.
pub(super) fn not_now(why: Error) -> Error {
    why.during(
        "refusing to start: this cannot be read, and may belong to running pods; start again when the disk is back, or \
         move it aside to abandon them",
    )
}
