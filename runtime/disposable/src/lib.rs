// SPDX-License-Identifier: Apache-2.0
//! Threads for work on paths that are not ours. Such a path may be on a file system whose server is gone, and then the work
//! never ends.
//!
//! Whoever runs work here gives up waiting for it after a while, and bounds how much of it there can be at one time.

#![forbid(unsafe_code)]

mod plain;
mod threads;

pub use plain::PlainData;
pub use threads::run;
