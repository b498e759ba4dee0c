// SPDX-License-Identifier: Apache-2.0
//! One cgroup: created with its parents and limits, joined, killed, queried for OOM kills, removed.
//!
//! ```text
//! v2        MOUNT/path              limits, the container's processes, BPF device policy
//!           MOUNT/path/exec-N       one exec's processes: cgroup.kill ends exactly its tree
//! v1        MOUNT_i/path            limits, one directory per hierarchy that the machine has
//!           UNIFIED/path            no controllers: cgroup.kill, cgroup.events, BPF device policy
//!           UNIFIED/path/exec-N
//! ```
//!
//! `exec-N` enables no controllers, so v2's rule that a cgroup with controllers below it holds no processes does not
//! apply: the container's first process stays in `path` itself, where programs look for their own limits, and
//! everything in `exec-N` counts against `path`.
//!
//! Writing another process's pid into a v1 `cgroup.procs` waits for an RCU grace period (2 ms each). So nothing here
//! does that: on v2 processes are created in the cgroup (`clone3`), on v1 a single-threaded child writes `0` to
//! `tasks`.
//!
//! The directories are opened when the cgroup is created; after that nothing in it is looked up by path (`dir`).

mod counter;
mod detached;
mod dir;
mod dirs;
mod events;
mod group;
mod layout;
mod limits;
mod place;
mod remove;
mod resources;
mod undo;
mod update;

pub use detached::detached;
pub use dir::Dir;
pub use events::oom_kills;
pub use group::{Cgroup, create, ensure};
pub use layout::Layout;
pub use place::Place;
pub use remove::{kill, processes, remove, remove_if_empty};
pub use resources::{Limit, Resources};
