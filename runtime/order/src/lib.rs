// SPDX-License-Identifier: Apache-2.0
//! The inner model of a container: what was asked for, resolved and checked, in types of its own.
//!
//! ```text
//! CRI request, record, pod, facts of the node
//!        │ the daemon's builder checks
//!      Order                                  no I/O, no CRI and no wire type in it
//!        ├─ wire   the message that starts a shim
//!        └─ oci    config.json, for hooks and for people
//! ```
//!
//! Whatever an order says can be made; what cannot be is refused before there is one. An absent value is `None` here,
//! never 0, -1 or an empty text: what each written form puts in its place is known to its writer alone.

pub mod devices;
pub mod hooks;
pub mod mounts;
pub mod namespaces;
pub mod oci;
mod order;
pub mod process;
pub mod resources;
#[cfg(test)]
mod sample;
pub mod wire;

pub use order::{Order, Root, Stdin};
