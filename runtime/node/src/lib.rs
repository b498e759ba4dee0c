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

pub mod clock;
pub mod container;
pub mod disk;
pub mod disposable;
pub mod error;
pub mod events;
#[cfg(test)]
mod golden;
pub mod handlers;
pub mod idempotency;
pub mod ids;
pub mod index;
pub mod keeper;
pub mod machine;
pub mod node;
pub mod objects;
pub mod open_files;
pub mod operations;
pub mod places;
pub mod pod;
pub mod process;
pub mod reconcile;
pub mod records;
pub mod recover;
pub mod settings;
pub mod trash;
pub mod usage;
