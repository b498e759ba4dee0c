// SPDX-License-Identifier: Apache-2.0
//! A machine's cgroups: its layout, its hierarchies held open, and the paths of pods and containers.
//!
//! The crate finds out which hierarchy is mounted where, keeps the hierarchies open ([`Hierarchies`]), and checks a
//! client's `cgroup_parent`. It never makes, enters or kills a cgroup: the shim does that, given a
//! [`CgroupLayout`](gorae_proto::shim::CgroupLayout) and a path.
//!
//! ```text
//! no parent given:    /gorae/pod-POD/gorae-CONTAINER      the pod's cgroup is ours
//! PARENT given:       PARENT/gorae-CONTAINER              the pod's cgroup is the kubelet's
//!                     PARENT/gorae-init-POD               ours inside it, when containers share a PID namespace
//! ```
//!
//! Invariant: a path from here is absolute, normal (no empty, `.` or `..` component) and never `/`, so killing or
//! removing "the pod's cgroup" can never hit the machine's root cgroup.

#![forbid(unsafe_code)]

mod error;
mod hierarchies;
mod layout;
mod path;
mod search;

pub use error::Error;
pub use hierarchies::{Hierarchies, open};
pub use layout::probe;
pub use path::{DEFAULT_PARENT, PodCgroup, container_path, own_path, pod_path, remove_default_parent};
pub use search::find_containers;
