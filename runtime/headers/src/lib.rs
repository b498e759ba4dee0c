// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 header blocks, before the HTTP/2 engine reads them: [`authority`] mends what gRPC's C core writes, in blocks that
//! [`fields`] reads. Nothing here knows a socket, a call or the daemon.

pub mod authority;
pub mod fields;
mod huffman;
