// SPDX-License-Identifier: Apache-2.0
//! Indexes, manifests and configs: OCI and Docker schema 2, read from untrusted bytes into checked values. Pure.

mod choose;
mod document;
mod error;
mod media_types;
mod read;
#[cfg(test)]
mod tests;

pub use choose::choose;
pub use document::{Descriptor, Document, IndexEntry, Manifest};
pub use error::Error;
pub use media_types::ACCEPT;
pub use read::{MAX_CONFIG, MAX_LAYERS, read};

/// Largest manifest or index in bytes, the limit of registries.
pub const MAX_MANIFEST: u64 = 4 << 20;
