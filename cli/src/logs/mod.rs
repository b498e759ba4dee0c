// SPDX-License-Identifier: Apache-2.0
//! A container's log file, read: records, joined lines, the last n of them, and what is still to come.
//!
//! The file is written by the container's shim and may be renamed away by whoever rotates it. Nothing here writes.

pub mod follow;
pub mod print;
pub mod record;
pub mod source;
pub mod tail;
