// SPDX-License-Identifier: Apache-2.0
//! The filter below the HTTP/2 engine of the CRI socket.

#[path = "../../../../runtime/src/rpc/authority.rs"]
pub mod authority;
#[path = "../../../../runtime/src/rpc/fields.rs"]
pub mod fields;
#[path = "../../../../runtime/src/rpc/huffman.rs"]
mod huffman;
