// SPDX-License-Identifier: Apache-2.0
//! The streaming server's engines, which know nothing of sockets.

#[path = "../../../../runtime/src/streaming/session/resize.rs"]
pub mod resize;
#[path = "../../../../runtime/src/streaming/spdy/mod.rs"]
pub mod spdy;
#[path = "../../../../runtime/src/streaming/websocket/mod.rs"]
pub mod websocket;
