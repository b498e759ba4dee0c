// SPDX-License-Identifier: Apache-2.0
//! The result of unpacking a layer.

/// An unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its disk usage.
    pub usage: Usage,
    /// Whether a member describes the root directory.
    pub describes_root: bool,
    /// Directories that members only imply, sorted, without the root: lower layers decide their metadata.
    pub implied: Vec<Vec<u8>>,
}

/// The disk usage of a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Bytes, with file sizes rounded up to blocks of 4096.
    pub bytes: u64,
    /// Files, directories, links and devices.
    pub inodes: u64,
}
