// SPDX-License-Identifier: Apache-2.0
//! The heart of goraed, the daemon: it records requests, gives orders to shims, and shows the result.
//!
//! ```text
//! goraed: cri.rs ─ pod|container/<verb>.rs ─ gorae_shims ═ one message ═ gorae-shim ─ kernel
//!                            │ index.rs, records.rs              │ state record
//!                            └ image-service (in process)        └ push: state → keeper.rs → events.rs
//! ```
//!
//! Containers do not depend on the daemon, nor do their logs and exit codes: it can be killed at any moment, and
//! [`recover`] restores everything from records and shims.

#![forbid(unsafe_code)]

mod clock;
pub mod container;
mod disk;
pub mod disposable;
pub mod error;
mod events;
#[cfg(test)]
mod golden;
pub mod handlers;
mod idempotency;
pub mod ids;
mod index;
mod keeper;
mod machine;
pub mod names;
pub mod networks;
mod node;
mod objects;
pub mod open_files;
mod operations;
mod places;
pub mod pod;
mod process;
pub mod reconcile;
mod records;
pub mod recover;
pub mod settings;
mod trash;
pub mod usage;

pub use clock::unique_ns;
pub use events::Events;
pub use machine::Machine;
pub use node::{Node, assemble};
pub use objects::Objects;
pub use places::Places;
pub use process::Process;
pub use records::make_dir;
