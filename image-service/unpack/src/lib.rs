// SPDX-License-Identifier: Apache-2.0
//! Unpacks a compressed layer stream into a directory that overlayfs can use as a lower layer, in one pass.
//!
//! ```text
//! blob bytes ─ thread 1: blob digest, size, inflate ─ thread 2: diff id, tar members ─ Tree (by handle)
//! ```
//!
//! Everything in the stream is treated as hostile. Members are placed by directory handle with single-component names, so
//! nothing outside the layer directory can be reached; see `tree.rs`. The directory must not be used until [`layer`]
//! has returned `Ok`: only then have both digests been checked. This crate never touches the network or the store.

#![forbid(unsafe_code)]

mod archive;
pub mod attributes;
pub mod beneath;
mod blocks;
mod bounds;
mod directories;
mod error;
mod field;
mod file;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod header;
mod inflate;
mod layer;
mod limits;
mod links;
mod member;
pub mod meta;
mod pax;
mod pieces;
pub mod pipe;
mod place;
pub mod refusal;
pub mod space;
mod sparse;
mod stream;
#[cfg(test)]
mod tests;
mod tree;
mod unpacked;
mod walk;

pub use error::Error;
pub use inflate::BlobFacts;
pub use layer::{Expected, layer};
pub use limits::{Limits, Reserve};
pub use unpacked::{Layer, Usage};
