// SPDX-License-Identifier: Apache-2.0
//! Fuzz targets: everything of Gorae that reads bytes which others write.
//!
//! Each target is a function that panics when a property does not hold, not only when a parser panics: what is read
//! must not depend on how the bytes were cut into reads, what is encoded must decode to the same, and memory must
//! stay below a limit. The parsers are in small crates, which keeps an instrumented build short; those that are not yet
//! are compiled from their own files. `tests/fuzz/run` fuzzes them, `tests/smoke.rs` runs them over their seeds.

#[allow(dead_code, missing_docs)]
#[path = "../../../shim/src/connection.rs"]
mod connection;
mod error;
pub mod random;
#[allow(dead_code)]
mod rpc;
#[allow(dead_code)]
mod shims;
#[allow(dead_code, unused_imports)]
mod streaming;
mod targets;
mod trace;

use gorae_proto::shim as wire;
use peak_alloc::PeakAlloc;
use std::path::Path;
use std::{fs, io};
pub use targets::TARGETS;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Longest input that is tried: more than any limit of a parser but those of whole messages.
pub const MAX_INPUT: usize = 80 * 1024;

/// One parser and what has to hold for it.
#[derive(Debug)]
pub struct Target {
    /// One word, for the command line and for directories.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub check: fn(&[u8]),
    /// Inputs to begin with, each of which reaches another part of the parser.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Most bytes that one input may have allocated at once.
    pub memory: usize,
}

impl Target {
    /// Finds a target by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Writes the seeds as files with numbers for names.
    ///
    /// # Errors
    /// When the directory is not there or cannot be written.
    pub fn write_seeds(&self, directory: &Path) -> io::Result<()> {
        let seeds = (self.seeds)();
        seeds.iter().enumerate().try_for_each(|(n, seed)| fs::write(directory.join(n.to_string()), seed))
    }

    /// Checks one input, and the memory that it took.
    ///
    /// # Panics
    /// When a property does not hold: a finding.
    pub fn run(&self, input: &[u8]) {
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        (self.check)(input);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        assert!(taken <= self.memory, "{}: {taken} bytes allocated for an input of {}", self.name, input.len());
    }
}
