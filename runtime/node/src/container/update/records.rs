// SPDX-License-Identifier: Apache-2.0
//! The two records of a container whose limits are being changed: `record` has the new limits, `record.old` the old ones.

use crate::container::{RECORD_KIND, RECORD_VERSION, Record};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::records;
use std::path::Path;

/// The record that becomes valid again when a change is refused.
pub const OLD: &str = "record.old";

/// A change that was begun and not finished.
#[derive(Debug)]
pub struct Interrupted {
    /// The limits in force before it.
    pub old: Record,
    /// The limits that it was to put in force.
    pub new: Record,
}

/// Writes both records; after an error the old one is valid, as before.
///
/// # Errors
/// As [`records::write()`].
pub fn begin(dir: &Path, old: &Record, new: &Record) -> Result<()> {
    disk::blocking(|| {
        records::write(dir, OLD, RECORD_KIND, RECORD_VERSION, old)?;
        records::write(dir, "record", RECORD_KIND, RECORD_VERSION, new).inspect_err(|_| finish(dir))
    })
}

/// Makes the old record valid again.
///
/// # Errors
/// As [`records::replace`].
pub fn roll_back(dir: &Path) -> Result<()> {
    records::replace(dir, OLD, "record")
}

/// Drops the old record. If that fails, the next start handles the change again.
pub fn finish(dir: &Path) {
    if let Err(error) = disk::blocking(|| std::fs::remove_file(dir.join(OLD))) {
        tracing::warn!(path = %dir.join(OLD).display(), %error, "cannot remove the record of the old limits");
    }
}

/// The change that an earlier daemon or a silent shim has left open, if any.
///
/// # Errors
/// The kernel's errors for the records.
pub fn interrupted(dir: &Path) -> Result<Option<Interrupted>> {
    let read = |name: &str| records::read::<Record>(&dir.join(name), RECORD_KIND, RECORD_VERSION);
    match (read(OLD), read("record")) {
        (Ok(None), _) => Ok(None),
        (Err(error), _) if error.kind() == Kind::Internal => {
            let why = "cannot tell which limits were in force before an interrupted update; keeping the current ones";
            tracing::error!(%error, "{why}");
            finish(dir);
            Ok(None)
        }
        (Ok(Some(old)), Ok(Some(new))) => Ok(Some(Interrupted { old, new })),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (_, Ok(None)) => Err(Error::internal(format!("there is no record in {}", dir.display()))),
    }
}
