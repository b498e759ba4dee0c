// SPDX-License-Identifier: Apache-2.0
//! The Container Network Interface, as a runtime speaks it: configuration files, calls of plugins, and their results.
//!
//! It knows nothing of pods' lives, records or processes: who calls it owns those, and runs the programs ([`run::Run`]).
//!
//! ```text
//! watch ── directory ── list ── version, name
//! chain ── call ── capability, arguments
//!   │  └── answer ── run
//!   └───── result
//! ```
//!
//! Source: the CNI specification 1.1.0 and its conventions; where the two leave something open, what libcni does, because
//! plugins are written against that.

#![forbid(unsafe_code)]

mod answer;
pub mod arguments;
pub mod call;
pub mod capability;
pub mod chain;
pub mod directory;
mod error;
pub mod list;
pub mod name;
pub mod programs;
pub mod result;
pub mod run;
mod version;
pub mod watch;

pub use error::Error;
pub use version::{Unknown, Version};
