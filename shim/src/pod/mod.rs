// SPDX-License-Identifier: Apache-2.0
//! What the containers of a pod share: its namespaces, pinned as files, its /dev/shm, its network and its cgroup.
//!
//! ```text
//! RUN_DIR             locked (flock) while a process works on the pod
//! RUN_DIR/ns/KIND     bind mount of the namespace: it lives as long as the pin
//! RUN_DIR/shm         tmpfs, the pod's /dev/shm
//! ```
//!
//! A pod has no process of its own, unless its containers share a PID namespace: then it has an init that does nothing
//! (`init`). Each verb runs in its own process, which may be killed at any point: whatever exists is found by its path,
//! and every side effect is made below a path that `clean` visits. Nothing here knows about containers.

pub mod change_networks;
pub mod clean;
pub mod dial;
pub(crate) mod init;
pub mod interface_sysctls;
mod lock;
mod namespaces;
mod own;
mod owner;
pub mod pin;
mod request;
pub mod setup;
mod shm;
mod sysctl;

pub use change_networks::{NetworkChange, change as change_networks};
pub use clean::{Clean, clean, see_off_interface};
pub use dial::{Dial, dial};
pub use interface_sysctls::{Sysctls, set as set_sysctls};
pub use lock::{RunDir, lock_within, wait_for_lock};
pub use namespaces::enter_net_at;
pub use pin::{Pins, pin};
pub use request::Setup;
pub use setup::setup;
