// SPDX-License-Identifier: Apache-2.0
//! Open cgroups. Their files are read through a handle, so a path is walked once, and a group that was removed and
//! recreated is not mistaken for the old one. Groups and their files are opened with [`gorae_cgroups::open`].
//!
//! A file that is missing, or that the kernel refuses to read, is `None`: kernels and controllers differ, and a
//! container may vanish between two reads.

use gorae_cgroups::{Hierarchies, open};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The size of a single read. A file with one record fits into it (the largest, memory.stat, has about 2 kB).
const RECORD: usize = 16 << 10;
/// Most bytes that are read of a file with many records: cgroup.procs with about 100,000 processes.
const LARGEST_LIST: usize = 1 << 20;

/// The directory of a cgroup in one hierarchy.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

impl Directory {
    fn open(above: &OwnedFd, path: impl AsRef<Path>) -> Option<Self> {
        open(above, path, OFlags::PATH | OFlags::DIRECTORY).ok().map(Self)
    }

    /// Reads a file that the kernel produces in one piece.
    pub(super) fn read(&self, file: &str) -> Option<String> {
        let mut text = Vec::with_capacity(RECORD);
        let file = open(&self.0, file, OFlags::RDONLY).ok()?;
        rustix::io::read(&file, rustix::buffer::spare_capacity(&mut text)).ok()?;
        String::from_utf8(text).ok()
    }

    /// Reads a file that the kernel produces record by record, up to 1 MiB.
    pub(super) fn read_list(&self, file: &str) -> Option<String> {
        let file = open(&self.0, file, OFlags::RDONLY).ok()?;
        read_to_end(&file)
    }

    /// Reads a file that holds one number; "max" is `u64::MAX`.
    pub(super) fn number(&self, file: &str) -> Option<u64> {
        number(self.read(file)?.trim_end())
    }

    /// Whether the group has child groups: the directory's link count includes them.
    fn has_children(&self) -> bool {
        rustix::fs::statat(&self.0, "", AtFlags::EMPTY_PATH).is_ok_and(|stat| stat.st_nlink > 2)
    }

    /// Opens the child groups, at most `most`.
    fn children(&self, most: usize) -> Vec<Self> {
        if !self.has_children() {
            return Vec::new();
        }
        let Ok(listing) = open(&self.0, ".", OFlags::RDONLY | OFlags::DIRECTORY) else { return Vec::new() };
        let Ok(entries) = rustix::fs::Dir::new(listing) else { return Vec::new() };
        entries
            .filter_map(Result::ok)
            .filter(|entry| {
                entry.file_type() == rustix::fs::FileType::Directory && !entry.file_name().to_bytes().starts_with(b".")
            })
            .filter_map(|entry| Self::open(&self.0, OsStr::from_bytes(entry.file_name().to_bytes())))
            .take(most)
            .collect()
    }

    /// Lists the pids in this group and the groups below it: the first 64 of each group, down to the fourth level.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        self.collect_processes(&mut pids, 4);
        pids
    }

    fn collect_processes(&self, pids: &mut Vec<u32>, depth: u32) {
        if let Some(text) = self.read_list("cgroup.procs") {
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
        }
        if depth > 0 {
            self.children(64).iter().for_each(|child| child.collect_processes(pids, depth - 1));
        }
    }
}

/// Opens and reads a kernel file by path, up to 1 MiB.
pub(super) fn read_path(path: &str) -> Option<String> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    read_to_end(&file)
}

fn read_to_end(file: &OwnedFd) -> Option<String> {
    let mut text = Vec::with_capacity(RECORD);
    while text.len() < LARGEST_LIST {
        text.reserve(RECORD);
        if rustix::io::read(file, rustix::buffer::spare_capacity(&mut text)).ok()? == 0 {
            break;
        }
    }
    String::from_utf8(text).ok()
}

/// Parses a number from a cgroup file; "max" is `u64::MAX`.
pub(super) fn number(text: &str) -> Option<u64> {
    if text == "max" { Some(u64::MAX) } else { text.parse().ok() }
}

/// The lines of a flat keyed file ("anon 4096"). Source: cgroup-v2.rst, "Format".
pub(super) fn flat_keyed(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// A cgroup in all hierarchies; a directory is opened when it is first needed.
#[derive(Debug)]
pub(super) struct Group<'a> {
    hierarchies: &'a Hierarchies,
    path: &'a str,
    unified: OnceCell<Option<Directory>>,
    v1: Vec<OnceCell<Option<Directory>>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(hierarchies: &'a Hierarchies, path: &'a str) -> Self {
        let v1 = hierarchies.v1().map(|_| OnceCell::new()).collect();
        Self { hierarchies, path: path.trim_start_matches('/'), unified: OnceCell::new(), v1 }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.hierarchies.is_v2()
    }

    /// The group's directory in the unified hierarchy.
    pub(super) fn unified(&self) -> Option<&Directory> {
        let open = || Directory::open(self.hierarchies.unified()?, self.path);
        self.unified.get_or_init(open).as_ref()
    }

    /// The group's directory in the v1 hierarchy of a controller.
    pub(super) fn v1(&self, controller: &str) -> Option<&Directory> {
        let at = self.hierarchies.position(controller)?;
        let open = || Directory::open(self.hierarchies.v1().nth(at)?, self.path);
        self.v1[at].get_or_init(open).as_ref()
    }
}
