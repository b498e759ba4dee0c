// SPDX-License-Identifier: Apache-2.0
//! SPDY/3.1 as Kubernetes clients speak it, without any I/O.
//!
//! - [`frames`]: bytes to frames and back.
//! - [`headers`]: the compressed header blocks, one zlib stream per direction of a connection.
//! - [`session`]: which streams exist, and what each frame means for them.
//!
//! Everything here takes slices and returns values, so it runs the same over TCP, inside a WebSocket, in a unit test
//! and in a fuzz target. This dialect has no flow control: windows and settings are checked for length and ignored, and
//! only the transport slows a peer down.

pub mod dictionary;
pub mod fault;
pub mod frames;
pub mod headers;
pub mod session;

pub use fault::{Fault, ResetReason};
pub use frames::{Decoder, Frame};
pub use headers::{Headers, Inflater};
pub use session::{Event, Session};
