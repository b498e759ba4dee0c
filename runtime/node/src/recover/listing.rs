// SPDX-License-Identifier: Apache-2.0
//! Lists the objects that have a directory, which is named after the object's id.

use crate::error::{Error, Result};
use crate::ids::Id;
use std::fs::DirEntry;
use std::io;
use std::path::Path;

/// Lists the ids of the directories below `dir`: all of them, or an error.
///
/// # Errors
/// The kernel's error, with the path.
pub fn ids_in<K>(dir: &Path) -> Result<Vec<Id<K>>> {
    ids_of(std::fs::read_dir(dir)).map_err(|e| Error::io("list", dir, &e))
}

fn ids_of<K>(entries: io::Result<impl Iterator<Item = io::Result<DirEntry>>>) -> io::Result<Vec<Id<K>>> {
    let names = entries?.map(|entry| entry.map(|e| e.file_name()));
    let ids = names.filter_map(|name| name.map(|name| name.to_str().and_then(Id::parse)).transpose());
    ids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OfPod, PodId};

    #[test]
    fn a_list_that_breaks_off_is_an_error_and_not_a_shorter_list() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(dir.path().join("a".repeat(64))).expect("directory");
        let entries = || std::fs::read_dir(dir.path());
        assert_eq!(ids_of(entries()).expect("whole"), [PodId::of_digit('a')]);
        let broken = entries().map(|entries| entries.chain([Err(io::Error::from_raw_os_error(libc::EIO))]));
        assert_eq!(ids_of::<OfPod>(broken).expect_err("broken off").raw_os_error(), Some(libc::EIO));
    }
}
