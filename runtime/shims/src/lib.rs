// SPDX-License-Identifier: Apache-2.0
//! The daemon's side of the shim protocol: spawn a shim, connect to one that is there, one call per verb.
//!
//! Nobody else in the daemon knows frames, sockets or the shim's command line. A shim never depends on this
//! process: when the daemon dies, containers and their shims go on.

mod connection;
mod device_programs;
mod error;
mod oneshot;
mod socket;
mod spawn;

pub use connection::{Answer, ExecExit, Shim, ShimEvent};
pub use device_programs::DevicePrograms;
pub use error::{Error, Result};
pub use oneshot::{clean_container, clean_pod, dial_pod, look_in_images, mount_cgroups, pin_pod, setup_pod};
pub use spawn::{Killer, Spawner};

use std::time::Duration;

/// How long a shim may take for a verb that touches the kernel only.
pub const VERB_DEADLINE: Duration = Duration::from_secs(20);
/// How long setting a pod or a container up may take: mounts and sources that are not ours are in it.
pub const SETUP_DEADLINE: Duration = Duration::from_secs(110);
