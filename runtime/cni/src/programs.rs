// SPDX-License-Identifier: Apache-2.0
//! Finds the programs of plugins.

use std::path::{Path, PathBuf};

/// The usual places of plugins' programs: everybody's, and Debian's.
pub const DEFAULT_DIRECTORIES: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// The first regular file of that name in the directories.
pub fn find(directories: &[PathBuf], kind: &str) -> Option<PathBuf> {
    directories.iter().map(|directory| directory.join(kind)).find(|path| path.is_file())
}

/// The directories as `CNI_PATH` has them, and as errors do with another separator.
pub fn joined(directories: &[PathBuf], separator: &str) -> String {
    directories.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(separator)
}

/// The types of these plugins whose programs are missing.
pub fn missing<'a>(directories: &[PathBuf], kinds: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    kinds.into_iter().filter(|kind| find(directories, kind).is_none()).collect()
}

/// Whether a path can be in `CNI_PATH`.
pub fn can_be_searched(path: &Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains(':')
}
