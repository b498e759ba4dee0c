// SPDX-License-Identifier: Apache-2.0
//! The file of a record: read up to a size limit, replaced as a whole, readable only by its owner.
//!
//! [`crate::checked`] defines its content. The caller chooses with [`Durability`] whether it must survive a power cut.

use std::fs::{File, OpenOptions, metadata, remove_file, rename};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a written record must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process: the page cache holds it, and nothing waits for the disk.
    Process,
    /// A power cut: file and directory are synced.
    PowerCut,
}

/// Writes a new file with mode 0600, or overwrites the existing one.
///
/// # Errors
/// The kernel's error; part of the file may then have been written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    open_new(path)?.write_all(bytes)
}

/// Replaces `dir/name` atomically: a reader sees the old record or the new one, never a part. Uses `dir/name.tmp`
/// meanwhile.
///
/// # Errors
/// The kernel's error. The old record is then unchanged, unless only the final sync of the directory failed.
pub fn replace(dir: &Path, name: &str, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let temp = dir.join(format!("{name}.tmp"));
    let replaced = write_and_rename(dir, &temp, name, bytes, durability);
    if replaced.is_err() {
        // The first failure is the one to report; a temporary file that cannot be removed is overwritten next time.
        let _ = remove_file(&temp);
    }
    replaced
}

fn write_and_rename(dir: &Path, temp: &Path, name: &str, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = open_new(temp)?;
    file.write_all(bytes)?;
    if durability == Durability::PowerCut {
        file.sync_all()?;
    }
    rename(temp, dir.join(name))?;
    match durability {
        Durability::Process => Ok(()),
        Durability::PowerCut => File::open(dir)?.sync_all(),
    }
}

/// Reads a file; `None` when it can never be a record, because it is larger than `most` bytes or not a regular file.
///
/// # Errors
/// The kernel's error, including `NotFound`.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let meta = metadata(path)?;
    if !meta.is_file() || meta.len() > most {
        return Ok(None);
    }
    // It may grow meanwhile, if others can write to it.
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_record_is_replaced_whole_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("state");
        for (bytes, durability) in [(&b"one"[..], Durability::Process), (b"two", Durability::PowerCut)] {
            replace(dir.path(), "state", bytes, durability).expect("writable");
            assert_eq!(read_bounded(&path, 3).expect("readable").as_deref(), Some(bytes));
        }
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(dir.path().read_dir().expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_record_that_cannot_be_replaced_stays_and_nothing_else() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::create_dir(dir.path().join("state")).expect("in the way");
        replace(dir.path(), "state", b"one", Durability::Process).expect_err("a directory is there");
        assert_eq!(dir.path().read_dir().expect("list").count(), 1);
    }

    #[test]
    fn what_is_too_large_or_not_a_file_is_not_read() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("state");
        create(&path, b"four").expect("writable");
        assert_eq!(read_bounded(&path, 3).expect("readable"), None);
        assert_eq!(read_bounded(dir.path(), 3).expect("readable"), None);
        assert_eq!(read_bounded(&dir.path().join("absent"), 3).expect_err("absent").kind(), io::ErrorKind::NotFound);
    }
}
