// SPDX-License-Identifier: Apache-2.0
//! The start: read the records, take running containers back, undo what was half-made, settle what is owed.
//!
//! Records and state files are read before the socket opens, so that the first list is complete. Everything that
//! could wait for somebody else (shims, clean-ups) happens behind it. One damaged record costs that object: its
//! directory is moved aside for a person to look at. One that cannot be read now says nothing about its object, whose
//! processes, address and layers are in use: without it the daemon does not start, and whoever starts it tries again.

mod fill;
mod read;
mod settle;
mod strays;
mod unreadable;

pub use read::{Found, ids_in, read};
pub use settle::settle;
pub use strays::{Strays, end_strays};
