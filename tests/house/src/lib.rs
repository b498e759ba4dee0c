// SPDX-License-Identifier: Apache-2.0
//! Reads the sources of a workspace and finds what breaks the rules of the house. It compiles nothing and runs nothing of
//! what it reads.
//!
//! ```text
//! manifest   the crates of a workspace: their dependencies, and the file with which each target begins
//! product    the tokens of a file without what only tests compile
//! paths      every path in those tokens, and what each `use` calls it
//! module     a file or an inline module: its children, items and paths
//! house      all modules of all crates, and where a path leads: to the file that defines the item
//! circles    the arrows from file to file, and the files that stand in a circle
//! unused     dependencies that no source names
//! ```
//!
//! What it finds is asserted in `tests/house.rs`.

#![forbid(unsafe_code)]

mod house;
mod manifest;
mod module;
mod paths;
mod product;
#[cfg(test)]
mod tiny;

pub mod circles;
pub mod unused;

pub use house::House;
pub use manifest::{Manifest, workspace};
