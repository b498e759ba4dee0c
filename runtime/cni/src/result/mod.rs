// SPDX-License-Identifier: Apache-2.0
//! Results of ADD: JSON that is carried from plugin to plugin, and the addresses in it.
//!
//! A result is only read for what we need of it. Plugins keep things of their own in places that look checked: a number of
//! a route table in an interface's `mac`, say, which they read back on DEL.

mod addresses;
mod convert;
mod read;
mod version;

pub use addresses::addresses;
pub use convert::convert;
pub use read::{MAX_BYTES, read};
