// SPDX-License-Identifier: Apache-2.0
//! Counts what a layer takes while it is filled, and checks it against its bounds and the file system's free space.

use crate::error::Error;
use crate::limits::Limits;
use crate::space::Space;
use crate::unpacked::Usage;
use rustix::fs::{FileType, Stat};
use std::os::fd::AsFd;

/// The block size that file sizes are rounded up to.
const BLOCK: u64 = 4096;

/// The running totals of one layer.
#[derive(Debug)]
pub struct Bounds {
    limits: Limits,
    usage: Usage,
    /// Logical bytes of all files, holes included.
    logical: u64,
    members: u64,
    space: Space,
}

impl Bounds {
    /// Starts with the layer's root directory.
    pub fn new(limits: Limits) -> Self {
        let usage = Usage { bytes: BLOCK, inodes: 1 };
        Self { limits, usage, logical: 0, members: 0, space: Space::new(limits.reserve) }
    }

    /// The disk usage of the layer so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The largest number of components in a path.
    pub fn depth(&self) -> usize {
        self.limits.depth
    }

    /// Counts one member, and checks that the reserve stays free.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Reserve`].
    pub fn count_member(&mut self, on: impl AsFd) -> Result<(), Error> {
        self.space.check(on)?;
        self.members += 1;
        if self.members > self.limits.entries {
            return Err(Error::Limit { what: Limits::MEMBERS, limit: self.limits.entries });
        }
        Ok(())
    }

    /// Counts the logical length of a file before it is written.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn count_length(&mut self, length: u64) -> Result<(), Error> {
        self.logical = self.logical.saturating_add(length);
        if self.logical > self.limits.bytes {
            return Err(Error::Limit { what: Limits::FILES, limit: self.limits.bytes });
        }
        Ok(())
    }

    /// Counts bytes that were written, and checks that the reserve stays free.
    ///
    /// # Errors
    /// [`Error::Reserve`].
    pub fn count_written(&mut self, bytes: u64, on: impl AsFd) -> Result<(), Error> {
        self.space.spend(bytes, 0);
        self.space.check(on)
    }

    /// Counts a directory.
    pub fn count_directory(&mut self) {
        self.space.spend(BLOCK, 1);
        self.usage.inodes += 1;
        self.usage.bytes += BLOCK;
    }

    /// Counts a link, device or FIFO. They take no blocks.
    pub fn count_node(&mut self) {
        self.space.spend(0, 1);
        self.usage.inodes += 1;
    }

    /// Counts a file by the blocks that its pieces touch: holes take no space.
    pub fn count_file(&mut self, pieces: &[(u64, u64)]) {
        let mut end = 0;
        let touched = pieces.iter().map(|&(offset, len)| {
            let first = (offset / BLOCK).max(end);
            end = (offset + len).div_ceil(BLOCK);
            end - first
        });
        self.space.spend(0, 1);
        self.usage.inodes += 1;
        self.usage.bytes += touched.sum::<u64>() * BLOCK;
    }

    /// Subtracts an entry whose last name was removed.
    pub fn uncount(&mut self, removed: &Stat) {
        self.usage.inodes -= 1;
        self.usage.bytes = self.usage.bytes.saturating_sub(taken(removed));
    }
}

/// What was counted for an existing entry: for a file its size in blocks, without holes.
fn taken(found: &Stat) -> u64 {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => BLOCK,
        FileType::RegularFile => {
            let on_disk = found.st_blocks.unsigned_abs().saturating_mul(512);
            found.st_size.unsigned_abs().next_multiple_of(BLOCK).min(on_disk)
        }
        _ => 0,
    }
}
