// SPDX-License-Identifier: Apache-2.0
//! The internal model of a container: the request, resolved and checked, in types of its own.
//!
//! ```text
//! CRI request, record, pod, facts about the node
//!        │ checked by the daemon's builder
//!      Order                                  does no I/O, holds no CRI and no wire types
//!        ├─ wire   the message that starts a shim
//!        └─ oci    config.json, for hooks and for people
//! ```
//!
//! Everything in an order can be made; anything that cannot be made is refused before an order exists. An absent value
//! is `None` here, never 0, -1 or an empty text. Only the writer of each form knows how that form encodes it.

#![forbid(unsafe_code)]

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
