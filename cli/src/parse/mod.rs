// SPDX-License-Identifier: Apache-2.0
//! What people type, turned into what is meant. Every function here is pure: no file, no socket, no clock.
//!
//! An error names the whole text as typed and says the form that was expected.

pub mod capability;
pub mod entries;
pub mod moment;
pub mod name;
pub mod network;
pub mod port;
pub mod quantity;
pub mod user;
pub mod volume;
