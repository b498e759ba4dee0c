// SPDX-License-Identifier: Apache-2.0
//! Compiles seccomp profiles to classic BPF.
//!
//! ```text
//! default.rs  json/          the requested profile, for these capabilities, this kernel, this machine
//!        └──┬──┘
//!      profile.rs            rules by name over a default action ── oci.rs, cubes.rs: the OCI's form again
//!           │ search.rs      numbers → ranges → comparisons         arch.rs: names ↔ numbers
//!       graph.rs             tests that lead to tests, each stored once
//!           │
//!      program.rs            struct sock_filter[], at most 4096
//! ```
//!
//! Pure: reads no file and asks the kernel only for its release, once. Never loads a filter: the shim does that.
//!
//! Known limit, shared with every runtime: a filter sees numbers, not memory. So `socketcall` of 32-bit programs (which
//! need it) is not restricted to the address families that `socket` is.

#![forbid(unsafe_code)]

mod arch;
pub mod capabilities;
mod cubes;
mod default;
mod error;
mod graph;
mod json;
mod kernel;
mod oci;
mod profile;
mod program;
mod search;
#[cfg(test)]
mod tests;

pub use error::{Error, LARGEST_PROFILE};

use profile::Profile;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of cached filters. Nodes use a handful of profiles; each entry holds a few kB.
const KEPT: usize = 64;

/// A compiled filter.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    /// `struct sock_filter`, 8 bytes each, native order: `Process.seccomp_filter`.
    pub program: Arc<[u8]>,
    /// `SECCOMP_FILTER_FLAG_*`: `Process.seccomp_flags`.
    pub flags: u32,
}

impl Filter {
    /// The program, shared.
    pub fn bytes(&self) -> Arc<[u8]> {
        self.program.clone()
    }

    /// How many instructions the kernel will load.
    pub fn instructions(&self) -> usize {
        self.program.len() / 8
    }
}

/// Returns the compiled built-in profile for a container (`RuntimeDefault`).
///
/// - Shapes: `caps` is the bounding set, bit n for capability n; it widens the profile.
pub fn default_filter(caps: u64) -> Arc<Filter> {
    let asked = caps & default::RELEVANT_CAPABILITIES;
    FILTERS.get_or_compile(Key::Default(asked), || compile(&default::profile(asked, kernel::running()))).unwrap_or_else(
        // A test compiles it with no, all and each of the relevant capabilities; it has a fifth of the limit's size.
        |error| unreachable!("the built-in profile compiles: {error}"),
    )
}

/// Compiles a profile in Docker's or the OCI's JSON form (`Localhost`).
///
/// - Shapes: `caps` as for [`default_filter`], for `includes.caps` and `excludes.caps`. Syscall names that this
///   machine does not know are skipped; everything else that is unknown is an error.
/// - Source: OCI runtime-spec config-linux "seccomp"; Docker's `includes`, `excludes`, `archMap`, `name`.
///
/// # Errors
/// Each variant of [`Error`].
pub fn from_profile_json(bytes: &[u8], caps: u64) -> Result<Arc<Filter>, Error> {
    if bytes.len() > LARGEST_PROFILE {
        return Err(Error::TooLarge(bytes.len()));
    }
    let key = Key::Json(Sha256::new().chain_update(caps.to_ne_bytes()).chain_update(bytes).finalize().into());
    FILTERS.get_or_compile(key, || compile(&json::parse(bytes, caps, kernel::running())?))
}

/// Writes the built-in profile in the OCI's form (`linux.seccomp`), as [`default_filter`] compiles it for the same
/// `caps`.
pub fn default_in_oci_form(caps: u64) -> serde_json::Value {
    oci::write(&default::profile(caps & default::RELEVANT_CAPABILITIES, kernel::running()))
}

/// Writes a profile in the OCI's form, with its conditions on capabilities, kernel and architecture resolved, as
/// [`from_profile_json`] compiles it for the same `bytes` and `caps`.
///
/// # Errors
/// As [`from_profile_json`], except for [`Error::TooLong`].
pub fn profile_json_in_oci_form(bytes: &[u8], caps: u64) -> Result<serde_json::Value, Error> {
    if bytes.len() > LARGEST_PROFILE {
        return Err(Error::TooLarge(bytes.len()));
    }
    json::parse(bytes, caps, kernel::running()).map(|profile| oci::write(&profile))
}

fn compile(profile: &Profile) -> Result<Filter, Error> {
    let mut graph = graph::Graph::default();
    let root = search::decide(&mut graph, profile);
    Ok(Filter { program: program::assemble(&graph, root)?.into(), flags: profile.flags })
}

static FILTERS: Filters = Filters { kept: Mutex::new(Vec::new()) };

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Default(u64),
    Json([u8; 32]),
}

/// The [`KEPT`] most recently used filters, the latest at the end.
#[derive(Debug)]
struct Filters {
    kept: Mutex<Vec<(Key, Arc<Filter>)>>,
}

impl Filters {
    /// The lock is not held while compiling: two callers may compile the same profile, and one result is kept.
    fn get_or_compile(&self, key: Key, compile: impl FnOnce() -> Result<Filter, Error>) -> Result<Arc<Filter>, Error> {
        if let Some(filter) = self.get(&key) {
            return Ok(filter);
        }
        let filter = Arc::new(compile()?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != key);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((key, filter.clone()));
        Ok(filter)
    }

    fn get(&self, key: &Key) -> Option<Arc<Filter>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other == key)?;
        kept[at..].rotate_left(1);
        kept.last().map(|(_, filter)| filter.clone())
    }
}
