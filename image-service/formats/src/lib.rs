// SPDX-License-Identifier: Apache-2.0
//! Parses untrusted text about images into checked values: image names, indexes and manifests, image configs, challenges
//! of registries, and the node's own `hosts.toml`.
//!
//! Nothing here uses the network. All text is untrusted and bounded. Errors quote only short parts of it and never a
//! secret. The fuzz targets in `tests/fuzz` verify this.

#![forbid(unsafe_code)]

pub mod challenge;
mod go_duration;
mod go_json;
pub mod hosts;
pub mod image_config;
pub mod manifest;
pub mod platform;
pub mod reference;
mod shown;
pub mod user;

pub use shown::shown;
