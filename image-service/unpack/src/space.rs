// SPDX-License-Identifier: Apache-2.0
//! Keeps the reserve of a file system free while a layer is written to it.
//!
//! Other layers and the rest of the node write to it at the same time. So the free space is queried again whenever a
//! fraction of it has been used, in smaller and smaller steps. While there is plenty, that is once per 16 MiB or 4096
//! files.

use crate::error::Error;
use crate::limits::Reserve;
use std::os::fd::AsFd;

/// Bytes and files that may still be written before the next query.
#[derive(Debug)]
pub struct Space {
    reserve: Reserve,
    bytes: u64,
    inodes: u64,
}

impl Space {
    /// Makes the first [`Space::check`] query the kernel.
    pub fn new(reserve: Reserve) -> Self {
        Self { reserve, bytes: 0, inodes: 0 }
    }

    /// Counts what was written.
    pub fn spend(&mut self, bytes: u64, inodes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.inodes = self.inodes.saturating_sub(inodes);
    }

    /// Queries the free space of the file system of `on`, if a query is due.
    ///
    /// # Errors
    /// [`Error::Reserve`] if no more than the reserve is left.
    pub fn check(&mut self, on: impl AsFd) -> Result<(), Error> {
        if self.bytes > 0 && self.inodes > 0 {
            return Ok(());
        }
        let found = rustix::fs::fstatvfs(on)
            .map_err(|e| Error::Directory { what: "read the free space of", source: e.into() })?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let above = headroom("bytes", bytes(found.f_bavail), self.reserve.bytes(bytes(found.f_blocks)))?;
        self.bytes = (above / 32).clamp(64 << 10, 16 << 20);
        // File systems that allocate inodes dynamically report 0.
        self.inodes = match found.f_files {
            0 => u64::MAX,
            all => (headroom("inodes", found.f_favail, self.reserve.inodes(all))? / 32).clamp(16, 4096),
        };
        Ok(())
    }
}

fn headroom(what: &'static str, free: u64, reserve: u64) -> Result<u64, Error> {
    match free.checked_sub(reserve) {
        None | Some(0) => Err(Error::Reserve { what, free, reserve }),
        Some(above) => Ok(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_again_after_a_part_of_what_was_free() {
        let here = std::fs::File::open("/").unwrap();
        let mut space = Space::new(Reserve::Bytes(0));
        space.check(&here).unwrap();
        assert!(space.bytes >= 64 << 10 && space.bytes <= 16 << 20 && space.inodes >= 16);
        let before = space.bytes;
        space.spend(1, 1);
        space.check(&here).unwrap();
        assert_eq!(space.bytes, before - 1, "it was asked too early");
        space.spend(u64::MAX, 0);
        space.check(&here).unwrap();
        assert!(space.bytes >= 64 << 10, "it was not asked again");
    }

    #[test]
    fn what_is_free_and_what_is_kept_are_told() {
        let here = std::fs::File::open("/").unwrap();
        let refused = Space::new(Reserve::Bytes(u64::MAX)).check(&here);
        assert!(matches!(refused, Err(Error::Reserve { what: "bytes", reserve: u64::MAX, .. })), "{refused:?}");
        assert!(headroom("inodes", 5, 5).is_err());
        assert_eq!(headroom("inodes", 6, 5).unwrap(), 1);
    }
}
