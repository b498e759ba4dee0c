// SPDX-License-Identifier: Apache-2.0
//! What an unpacked layer came to.

/// An unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it takes.
    pub usage: Usage,
    /// Whether a member describes the root directory.
    pub describes_root: bool,
    /// The directories that other members only imply, sorted, without the root: lower layers decide what they are.
    pub implied: Vec<Vec<u8>>,
}

/// What a layer takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Bytes, file sizes rounded up to blocks of 4096.
    pub bytes: u64,
    /// Files, directories, links and devices.
    pub inodes: u64,
}
