// SPDX-License-Identifier: Apache-2.0
//! The daemon's end of a connection to a shim.

use std::time::Duration;

#[path = "../../../../runtime/src/shims/connection.rs"]
pub mod connection;
#[path = "../../../../runtime/src/shims/socket.rs"]
mod socket;

pub const VERB_DEADLINE: Duration = Duration::from_secs(5);
