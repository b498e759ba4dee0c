// SPDX-License-Identifier: Apache-2.0
//! What the daemon and the shim agree on about a [`ContainerState`](crate::shim::ContainerState), beside its fields.

/// The name of the state record in a container's run directory, and its kind.
pub const KIND: &str = "state";

/// The version of the state record.
pub const VERSION: u32 = 1;

/// The exit code of a container that could not be started.
pub const START_ERROR_CODE: i32 = 128;

/// The `reason` of a container that could not be started.
pub const START_ERROR: &str = "StartError";

/// The exit code of a container whose exit was not observed.
pub const UNKNOWN_CODE: i32 = 255;

/// The `reason` of a container whose exit was not observed.
pub const UNKNOWN: &str = "Unknown";
