// SPDX-License-Identifier: Apache-2.0
//! The daemon's side of the shim protocol: spawn a shim, connect to a running one, one call for each verb.
//!
//! No other part of the daemon knows about frames, sockets or the shim's command line. A shim never depends on this
//! process: when the daemon dies, containers and their shims keep running.
//!
//! ```text
//! Spawner ─ a shim for one task ─ setup_pod, clean_pod, …     one request, one reply, exit
//!         ├ the name server ── Names ── set, add, remove        one connection while the daemon lives
//!         └ a container's shim ── Shim ── start, stop, exec, …    one connection while the daemon lives
//! ```

#![forbid(unsafe_code)]

mod binary;
mod connection;
mod deadline;
mod device_programs;
mod error;
mod names;
mod oneshot;
mod plugins;
mod socket;
mod spawn;
mod verbs;

pub use connection::{ExecExit, QUEUED_EVENTS, Shim, ShimEvent};
pub use deadline::{ANSWER_DEADLINE, SETUP_DEADLINE, VERB_DEADLINE};
pub use device_programs::DevicePrograms;
pub use error::{Error, Result};
pub use names::{Names, NamesBegin, NamesEnd};
pub use oneshot::{
    change_networks, clean_container, clean_pod, dial_pod, look_in_images, mount_cgroups, open_names, pin_pod,
    set_sysctls, setup_pod,
};
pub use plugins::Plugins;
pub use spawn::{Killer, Spawner};
pub use verbs::{Running, Streams};
