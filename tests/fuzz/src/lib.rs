// SPDX-License-Identifier: Apache-2.0
//! Fuzz targets: everything of Gorae that reads bytes which others write.
//!
//! Each target is a function that panics when a property does not hold, not only when a parser panics: what is read
//! must not depend on how the bytes were cut into reads, what is encoded must decode to the same, and memory must
//! stay below a limit. `tests/fuzz/run` fuzzes them, `tests/smoke.rs` runs them over their seeds.

pub mod random;
mod target;
mod targets;
mod trace;

pub use target::{MAX_INPUT, Target};
pub use targets::{TARGETS, named};
