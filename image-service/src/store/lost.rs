// SPDX-License-Identifier: Apache-2.0
//! Drops objects whose records are unusable.

use crate::store::error::Error;
use crate::store::record::{NameRecord, Unreadable};
use gorae_digest::Digest;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Drops an object whose record is unusable, and logs it.
///
/// # Errors
/// If the record itself may be fine (no descriptors, no memory), or if another program wrote it. Continuing would treat
/// the object as unneeded and delete its data.
pub fn lose(what: &str, path: &Path, error: Unreadable) -> Result<(), Error> {
    match error {
        Unreadable::File(source)
            if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) =>
        {
            Err(Error::file("read", path, source))
        }
        Unreadable::Foreign(foreign) => Err(Error::Foreign(foreign)),
        error => {
            tracing::warn!(path = %path.display(), %error, "{what} is lost");
            Ok(())
        }
    }
}

/// Drops an image and logs its names, so that it is pulled again. Its record is removed first, as in [`Store::remove`];
/// its layers are removed with the next collection.
///
/// # Errors
/// See [`lose`].
pub fn lose_image(path: &Path, file: &OsStr, names: &[(PathBuf, NameRecord)], error: Unreadable) -> Result<(), Error> {
    // A file that was never an image of this store is not ours to remove.
    let Some(id) = file.to_str().and_then(Digest::from_file_name).map(|id| id.to_string()) else {
        return lose("image", path, error);
    };
    let own = names.iter().filter(|(_, record)| record.image == id).map(|(_, record)| record.name.as_str());
    let mut own: Vec<&str> = own.collect();
    own.sort_unstable();
    lose(&format!("image {id} ({}) must be pulled again: it", own.join(", ")), path, error)?;
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove the record of a lost image");
    }
    Ok(())
}
