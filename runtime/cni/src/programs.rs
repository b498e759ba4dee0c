// SPDX-License-Identifier: Apache-2.0
//! Where the programs of plugins are.

use std::path::{Path, PathBuf};

/// The usual places of plugins' programs: everybody's, and Debian's.
pub const DEFAULT_DIRECTORIES: [&str; 2] = ["/opt/cni/bin", "/usr/lib/cni"];

/// Whether this is a regular file. It may wait for ever, where a file system does not respond.
pub fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The directories as `CNI_PATH` has them, and as errors do with another separator.
pub fn joined(directories: &[PathBuf], separator: &str) -> String {
    directories.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(separator)
}

/// Whether a path can be in `CNI_PATH`.
pub fn can_be_searched(path: &Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains(':')
}
