// SPDX-License-Identifier: Apache-2.0
//! What lies in a directory, links not followed.

use crate::trace::Trace;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const BLOCK: u64 = 4096;

/// The sums, and a checksum of everything that two equal trees have in common.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub inodes: u64,
    /// Of regular files, holes included.
    pub bytes: u64,
    /// The least that all of it takes on disk.
    pub taken: u64,
    /// Components of the longest path.
    pub depth: usize,
    sum: u32,
}

struct Walk {
    found: Found,
    seen: HashSet<u64>,
    trace: Trace,
}

/// Looks at a directory and everything below it, whatever modes it has.
pub fn below(directory: &Path) -> Found {
    let mut walk = Walk { found: Found::default(), seen: HashSet::new(), trace: Trace::default() };
    let root = std::fs::File::open(directory).expect("the directory");
    let status = rustix::fs::fstat(&root).expect("it is open");
    walk.count(&status);
    // Its own time changes with the first member.
    walk.trace.event((status.st_mode, status.st_uid, status.st_gid));
    walk.directory(root.as_fd(), 1);
    Found { sum: walk.trace.end(), ..walk.found }
}

impl Walk {
    fn count(&mut self, status: &Stat) {
        if self.seen.insert(status.st_ino) {
            self.found.inodes += 1;
            match FileType::from_raw_mode(status.st_mode) {
                FileType::RegularFile => {
                    let (size, on_disk) = (status.st_size.unsigned_abs(), status.st_blocks.unsigned_abs() * 512);
                    self.found.bytes += size;
                    // One block may be one of attributes.
                    self.found.taken += size.next_multiple_of(BLOCK).min(on_disk.saturating_sub(BLOCK));
                }
                FileType::Directory => self.found.taken += BLOCK,
                _ => {}
            }
        }
    }

    fn directory(&mut self, directory: BorrowedFd<'_>, depth: usize) {
        let mut names: Vec<_> = Dir::read_from(directory)
            .expect("it is open")
            .map(|entry| entry.expect("an entry").file_name().to_owned())
            .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
            .collect();
        names.sort();
        for name in names {
            self.found.depth = self.found.depth.max(depth);
            let status = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).expect("it was there");
            self.count(&status);
            let what = (&name, status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_nlink);
            self.trace.event(what);
            match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let inside = openat(directory, &name, flags, Mode::empty()).expect("a directory");
                    self.directory(inside.as_fd(), depth + 1);
                }
                FileType::RegularFile => self.trace.event((status.st_size, status.st_mtime, status.st_mtime_nsec)),
                FileType::Symlink => {
                    let target = readlinkat(directory, &name, Vec::new()).expect("a link");
                    self.trace.bytes(0, std::ffi::OsStr::from_bytes(target.as_bytes()).as_bytes());
                }
                _ => {}
            }
        }
    }
}
