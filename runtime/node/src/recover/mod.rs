// SPDX-License-Identifier: Apache-2.0
//! The daemon's start: read the records, take running containers back, undo half-made objects, settle unfinished work.
//!
//! Records and state files are read before the socket opens, so that the first list is complete. Everything that may have
//! to wait for something else (shims, clean-ups) happens behind the open socket. A damaged record costs its object: the
//! directory is moved aside for inspection. If a record cannot be read now, its object is unknown, but its processes,
//! address and layers may be in use. The daemon then does not start, and whatever starts the daemon retries.

mod containers;
mod fill;
mod found;
mod listing;
mod pods;
mod read;
mod settle;
mod strays;
#[cfg(test)]
mod tests;
mod unreadable;

pub use found::Found;
pub use listing::ids_in;
pub use read::read;
pub use settle::settle;
pub use strays::{Strays, end_strays};
