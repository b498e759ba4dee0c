// SPDX-License-Identifier: Apache-2.0
//! Records on disk: one checksummed JSON file per object, replaced whole by a rename.
//!
//! A record has to outlive this process, but need not survive a power cut right after it was written, so nothing is synced:
//! the page cache keeps it. The disk may still stall; then only the work on that record waits ([`disk::blocking`]). A torn
//! or corrupted record is an error about that one object.

use crate::disk;
use crate::error::{Error, Kind, Result};
use gorae_kernel::checked::{self, Unusable};
use gorae_kernel::record_file::{self, Durability};
use serde::{Serialize, de::DeserializeOwned};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// The largest record that is read. A CRI request has at most 16 MiB, and JSON makes byte values at most 5 times longer.
const MAX_RECORD: u64 = 96 << 20;

/// Writes `value` to `dir/name` so that a reader sees the old record or the new one.
///
/// # Errors
/// `ResourceExhausted` on a full disk; the old record is then still in place.
pub fn write(dir: &Path, name: &str, kind: &str, version: u32, value: &impl Serialize) -> Result<()> {
    let record = encode(kind, version, value)?;
    disk::blocking(|| record_file::replace(dir, name, &record, Durability::Process))
        .map_err(|e| Error::io("write record", &dir.join(name), &e))
}

/// Writes a record that is not valid until [`commit`] renames it: the intent before a side effect.
///
/// # Errors
/// As [`write()`].
pub fn write_intent(dir: &Path, name: &str, kind: &str, version: u32, value: &impl Serialize) -> Result<()> {
    let record = encode(kind, version, value)?;
    let path = dir.join(format!("{name}.new"));
    disk::blocking(|| record_file::create(&path, &record)).map_err(|e| Error::io("write record", &path, &e))
}

/// Makes the intent the record.
///
/// # Errors
/// `Internal` when the rename fails; the intent is then still in place.
pub fn commit(dir: &Path, name: &str) -> Result<()> {
    replace(dir, &format!("{name}.new"), name)
}

/// Renames another record of the directory to `name`, replacing the one of that name.
///
/// # Errors
/// `Internal` when the rename fails; both records are then still in place.
pub fn replace(dir: &Path, other: &str, name: &str) -> Result<()> {
    disk::blocking(|| rename(&dir.join(other), &dir.join(name)))
}

/// Reads a record; `None` when it does not exist.
///
/// # Errors
/// `Internal` when it is damaged, torn or of another kind; `FailedPrecondition` when it is whole, but another program wrote
/// it; `Unavailable` when it could not be read, which means nothing for its content.
pub fn read<T: DeserializeOwned>(path: &Path, kind: &'static str, version: u32) -> Result<Option<T>> {
    read_with(path, kind, version, |body| serde_json::from_slice(body))
}

/// [`read`] for a body that is not JSON.
///
/// # Errors
/// As [`read`].
pub fn read_with<T, E: std::fmt::Display>(
    path: &Path,
    kind: &'static str,
    version: u32,
    parse: impl FnOnce(&[u8]) -> std::result::Result<T, E>,
) -> Result<Option<T>> {
    let damaged = |why: &dyn std::fmt::Display| Error::internal(format!("{kind} record {}: {why}", path.display()));
    let bytes = match disk::blocking(|| record_file::read_bounded(path, MAX_RECORD)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(damaged(&"it is larger than any record, or not a regular file")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::new(Kind::Unavailable, format!("read {kind} record {}: {e}", path.display()))),
    };
    checked::read(path, kind, version, &bytes, parse).map(Some).map_err(|unusable| match unusable {
        Unusable::Damaged(why) => damaged(&why),
        Unusable::Foreign(foreign) => Error::precondition(foreign.to_string()),
    })
}

/// Makes a directory of ours, and its parents, unless it exists. Other users can pass through it, but cannot list it.
///
/// # Errors
/// The kernel's error, with the path.
pub fn make_dir(path: &Path) -> Result<()> {
    let made = disk::blocking(|| fs::DirBuilder::new().recursive(true).mode(0o711).create(path));
    made.map_err(|e| Error::io("make directory", path, &e))
}

/// Makes a directory that only root can enter, or restricts an existing one to root. Writable layers are below it, and no
/// user of the node may run a set-user-id program from a container (CVE-2021-41103).
///
/// # Errors
/// The kernel's error, with the path.
pub fn make_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::io("make directory", path, &e))?;
    let mode = fs::metadata(path).map_err(|e| Error::io("look at", path, &e))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::info!(directory = %path.display(), "other users could enter the directory; restricted it to root");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(|e| Error::io("restrict", path, &e))
}

fn encode(kind: &str, version: u32, value: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(value).map_err(|e| Error::internal(format!("encode {kind} record: {e}")))?;
    Ok(checked::encode(kind, version, &body))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io("rename record to", to, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_absent_then_whole_then_replaced() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("record");
        assert_eq!(read::<Vec<u32>>(&path, "pod", 1).expect("absent"), None);
        write(dir.path(), "record", "pod", 1, &[1u32, 2]).expect("write");
        write(dir.path(), "record", "pod", 1, &[3u32]).expect("replace");
        assert_eq!(read::<Vec<u32>>(&path, "pod", 1).expect("read"), Some(vec![3]));
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn an_intent_is_not_a_record_before_the_commit() {
        let dir = tempfile::tempdir().expect("tempdir");
        write_intent(dir.path(), "record", "pod", 1, &7u32).expect("intent");
        assert_eq!(read::<u32>(&dir.path().join("record"), "pod", 1).expect("absent"), None);
        commit(dir.path(), "record").expect("commit");
        assert_eq!(read::<u32>(&dir.path().join("record"), "pod", 1).expect("read"), Some(7));
    }

    #[test]
    fn a_damaged_record_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("record");
        fs::write(&path, b"gorae pod 1 4 00000000\nbody").expect("write");
        let error = read::<u32>(&path, "pod", 1).expect_err("checksum");
        assert!(error.to_string().contains("record"), "{error}");
    }
}
