// SPDX-License-Identifier: Apache-2.0
//! Fuzz targets: everything of Gorae that reads bytes which others write.
//!
//! Each target is a function that panics when a property does not hold, not only when a parser panics: what is read
//! must not depend on how the bytes were cut into reads, what is encoded must decode to the same, and memory must
//! stay below a limit. `tests/fuzz/run` fuzzes them, `tests/smoke.rs` runs them over their seeds.

#[allow(dead_code)]
#[path = "../../../image-service/src/config.rs"]
mod config;
#[allow(dead_code)]
#[path = "../../../image-service/src/digest.rs"]
mod digest;
#[path = "../../../image-service/src/go_duration.rs"]
mod go_duration;
#[allow(dead_code)]
#[path = "../../../image-service/src/go_json.rs"]
mod go_json;
#[allow(dead_code)]
#[path = "../../../image-service/src/hosts.rs"]
mod hosts;
#[path = "../../../image-service/src/hosts_keys.rs"]
mod hosts_keys;
#[allow(dead_code)]
#[path = "../../../image-service/src/image.rs"]
mod image;
#[path = "../../../image-service/src/image_config.rs"]
mod image_config;
#[path = "../../../image-service/src/platform.rs"]
mod platform;
pub mod random;
#[allow(dead_code)]
#[path = "../../../image-service/src/reference.rs"]
mod reference;
#[allow(dead_code)]
mod registry;
mod target;
mod targets;
mod trace;
#[allow(dead_code)]
#[path = "../../../image-service/src/unpack/mod.rs"]
mod unpack;

pub use target::{MAX_INPUT, Target};
pub use targets::{TARGETS, named};
