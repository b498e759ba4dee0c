// SPDX-License-Identifier: Apache-2.0
//! Measures the disk usage of a directory tree, by handle.
//!
//! The container can change the tree during the walk: links are never followed, other file systems are never entered,
//! and a directory that is swapped under the walk can only lead to another directory of the same tree.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Deepest level that is entered: each level holds a descriptor.
const DEEPEST: usize = 256;
/// Most hard-linked files that are recognised; others count once for each link.
const MOST_LINKED: usize = 1 << 20;
/// Unit of `st_blocks`. Source: stat(3type).
const BLOCK: u64 = 512;

/// The disk usage of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
}

/// Counts a tree, including the top directory; `None` when it is missing or has more than `most` entries.
pub(super) fn count(top: &Path, most: u64) -> Option<Taken> {
    let top = open(CWD, top).ok()?;
    let stat = rustix::fs::fstat(&top).ok()?;
    let mut walk = Walk { taken: Taken::default(), device: stat.st_dev, linked: HashSet::new(), most };
    walk.take(&stat);
    let mut stack = vec![Dir::new(top).ok()?];
    while let Some(dir) = stack.last_mut() {
        match dir.next() {
            None => drop(stack.pop()),
            Some(Err(_)) => drop(stack.pop()),
            Some(Ok(entry)) => {
                let below = stack.len() < DEEPEST;
                let dir = stack.last().and_then(|dir| dir.fd().ok())?;
                if let Some(child) = walk.entry(dir, entry.file_name(), below) {
                    stack.push(child);
                }
            }
        }
        if walk.taken.inodes > most {
            return None;
        }
    }
    Some(walk.taken)
}

#[derive(Debug)]
struct Walk {
    taken: Taken,
    device: u64,
    linked: HashSet<u64>,
    most: u64,
}

impl Walk {
    /// Counts an entry; returns it when it is a directory to descend into.
    fn entry(&mut self, dir: BorrowedFd<'_>, name: &CStr, below: bool) -> Option<Dir> {
        if matches!(name.to_bytes(), b"." | b"..") {
            return None;
        }
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if stat.st_dev != self.device {
            return None;
        }
        self.take(&stat);
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || !below {
            return None;
        }
        Dir::new(open(dir, name).ok()?).ok()
    }

    fn take(&mut self, stat: &Stat) {
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_directory && stat.st_nlink > 1 && !self.is_first_link(stat.st_ino) {
            return;
        }
        self.taken.inodes += 1;
        self.taken.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK;
    }

    fn is_first_link(&mut self, inode: u64) -> bool {
        let room = self.linked.len() < MOST_LINKED.min(usize::try_from(self.most).unwrap_or(usize::MAX));
        if room { self.linked.insert(inode) } else { !self.linked.contains(&inode) }
    }
}

fn open<P: rustix::path::Arg>(dir: impl AsFd, name: P) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_tree_is_counted_once_per_inode_and_links_are_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        std::fs::create_dir_all(path("a/b")).unwrap();
        std::fs::write(path("a/b/file"), vec![1; 20_000]).unwrap();
        std::fs::hard_link(path("a/b/file"), path("again")).unwrap();
        symlink("/usr", path("out")).unwrap();
        symlink("..", path("a/up")).unwrap();
        let taken = count(top.path(), 1000).unwrap();
        assert_eq!(taken.inodes, 6, "the top, a, b, the file once and two links");
        let of = |name: &str| std::fs::symlink_metadata(path(name)).unwrap().blocks() * 512;
        let sum: u64 = [".", "a", "a/b", "a/b/file", "out", "a/up"].iter().map(|name| of(name)).sum();
        assert_eq!(taken.bytes, sum);
    }

    #[test]
    fn a_tree_with_too_many_entries_or_none_at_all_has_no_count() {
        let top = tempfile::tempdir().unwrap();
        (0..20).for_each(|at| std::fs::write(top.path().join(at.to_string()), "").unwrap());
        assert_eq!(count(top.path(), 10), None);
        assert_eq!(count(top.path(), 21).unwrap().inodes, 21);
        assert_eq!(count(&top.path().join("gone"), 10), None);
    }

    #[test]
    fn a_tree_deeper_than_the_limit_is_counted_down_to_it() {
        let top = tempfile::tempdir().unwrap();
        let mut dir = top.path().to_owned();
        for _ in 0..DEEPEST + 50 {
            dir.push("d");
            std::fs::create_dir(&dir).unwrap();
        }
        assert_eq!(count(top.path(), 10_000).unwrap().inodes, DEEPEST as u64 + 1);
    }
}
