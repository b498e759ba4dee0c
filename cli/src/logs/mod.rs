// SPDX-License-Identifier: Apache-2.0
//! Reads the log file of a container: its records, its last lines, and new output as it is written.
//!
//! The container's shim writes the file, and log rotation may rename it at any time. Nothing here writes.

pub mod follow;
pub mod print;
pub mod record;
pub mod source;
pub mod tail;
