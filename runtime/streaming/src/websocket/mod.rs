// SPDX-License-Identifier: Apache-2.0
//! WebSocket (RFC 6455) as Kubernetes clients speak it, without any I/O.
//!
//! - [`frames`]: bytes to pieces of messages and back. There are no extensions, so a reserved bit is a fault.
//! - [`channels`]: messages to the numbered channels of a session.
//! - [`protocol`]: the subprotocols and their differences.
//! - [`farewell`]: the ways a client ends a connection.
//!
//! This is our own code rather than a library because a message on stdin may be as long as a file: pieces are passed on
//! as they arrive, while a library would collect the whole message first.

pub mod channels;
pub mod farewell;
pub mod fault;
pub mod frames;
pub mod protocol;

pub use farewell::Farewell;
pub use fault::Fault;
pub use protocol::{Codec, Protocol, Version};
