// SPDX-License-Identifier: Apache-2.0
//! Rewrites HTTP/2 header blocks before the HTTP/2 engine reads them: [`authority`] fixes what gRPC's C core sends, in
//! blocks that [`fields`] reads. Nothing here depends on a socket, a call or the daemon.

#![forbid(unsafe_code)]

pub mod authority;
pub mod fields;
mod huffman;
