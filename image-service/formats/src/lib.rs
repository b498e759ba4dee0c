// SPDX-License-Identifier: Apache-2.0
//! What others write about images, read into checked values: names of images, indexes and manifests, image configs,
//! challenges of registries, and the node's own `hosts.toml`.
//!
//! Nothing here uses the network. All text is untrusted and bounded, and what an error quotes of it is short and never a
//! secret. The fuzz targets of `tests/fuzz` hold these readers to that.

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
