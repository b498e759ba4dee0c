// SPDX-License-Identifier: Apache-2.0
//! The file system that holds the writable layers: where it is mounted, from which device, and how full it is.

use super::group::read_path;
use gorae_kernel::mountinfo::unescape;
use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filesystem {
    /// The key by which the kubelet looks up the capacity.
    pub(super) mount_point: String,
    /// The mount's source, such as "/dev/vda1".
    pub(super) device: String,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fullness {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
    pub(super) free_inodes: u64,
}

impl Filesystem {
    /// Finds the file system of a directory; "/" on an unknown device when the mount table does not list it.
    pub(super) fn of(directory: &Path) -> Self {
        let directory = directory.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
        let table = read_path("/proc/self/mountinfo").unwrap_or_default();
        find(&table, &directory).unwrap_or(Self { mount_point: "/".into(), device: String::new() })
    }

    pub(super) fn fullness(&self) -> Option<Fullness> {
        let stat = rustix::fs::statvfs(self.mount_point.as_str()).ok()?;
        Some(Fullness {
            bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            inodes: stat.f_files,
            free_inodes: stat.f_ffree,
        })
    }
}

/// Finds the mount with the longest path above the directory; of several at one path, the last one, which covers the
/// others.
fn find(table: &str, directory: &Path) -> Option<Filesystem> {
    let above = |line: &str| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mount_point = text(mount.split(' ').nth(4)?);
        directory
            .starts_with(&mount_point)
            .then(|| Filesystem { mount_point, device: text(filesystem.split(' ').nth(1).unwrap_or_default()) })
    };
    table.lines().filter_map(above).max_by_key(|filesystem| filesystem.mount_point.len())
}

/// A field of the table as text.
fn text(field: &str) -> String {
    String::from_utf8_lossy(&unescape(field.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_above_wins() {
        let table = "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 8:1 / /var rw - xfs /dev/sda1 rw\n\
            31 27 8:2 / /var/lib rw shared:1 - ext4 /dev/sdb rw\n32 27 8:3 / /var/lib/gorae-other rw - ext4 /dev/sdc rw\n";
        let found = find(table, Path::new("/var/lib/gorae")).unwrap();
        assert_eq!((found.mount_point.as_str(), found.device.as_str()), ("/var/lib", "/dev/sdb"));
    }

    #[test]
    fn a_mount_point_with_a_space_is_found() {
        let table = "27 1 254:0 / / rw - ext4 /dev/vda rw\n30 27 8:1 / /my\\040disk rw - xfs /dev/disk\\040one rw\n";
        let found = find(table, Path::new("/my disk/gorae")).unwrap();
        assert_eq!((found.mount_point.as_str(), found.device.as_str()), ("/my disk", "/dev/disk one"));
    }

    #[test]
    fn this_machines_temporary_directory_is_on_a_file_system_with_room() {
        let filesystem = Filesystem::of(&std::env::temp_dir());
        assert!(filesystem.fullness().unwrap().bytes > 0);
    }
}
