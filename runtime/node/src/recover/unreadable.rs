// SPDX-License-Identifier: Apache-2.0
//! What becomes of an object whose record cannot be read: a damaged one costs its object, everything else stops the start.

use crate::error::{Error, Kind, Result};
use crate::places::Places;
use crate::records;
use std::path::{Path, PathBuf};

/// An object that is lost: its record is damaged.
#[derive(Debug)]
pub(super) struct Damaged {
    dir: PathBuf,
    name: String,
    why: Error,
}

impl Damaged {
    /// Judges why a record says nothing.
    ///
    /// # Errors
    /// What keeps the daemon from starting: the record cannot be read now, or is another program's.
    pub(super) fn judge(dir: &Path, name: String, why: Error) -> Result<Self> {
        match why.kind() {
            Kind::FailedPrecondition => Err(anothers(why)),
            Kind::Unavailable => Err(not_now(why)),
            _ => Ok(Self { dir: dir.to_owned(), name, why }),
        }
    }

    /// Moves the object's directory to `ROOT/damaged`, for a person to look at. Once everything else could be read: a
    /// start that fails has touched nothing.
    pub(super) fn set_aside(&self, places: &Places) {
        let (object, place) = (&self.name, places.damaged());
        tracing::error!(object, why = %self.why, kept_in = %place.display(), "record is unreadable; object is lost");
        let moved = records::make_private_dir(&place).and_then(|()| {
            let to = place.join(&self.name);
            std::fs::rename(&self.dir, &to).map_err(|e| Error::io("rename to", &to, &e))
        });
        if let Err(error) = moved {
            tracing::error!(object, %error, "cannot move it aside");
        }
    }
}

pub(super) fn anothers(why: Error) -> Error {
    why.during("refusing to start, and nothing was touched")
}

pub(super) fn not_now(why: Error) -> Error {
    why.during(
        "refusing to start: this cannot be read, and may belong to running pods; start again when the disk is back, or \
         move it aside to abandon them",
    )
}
