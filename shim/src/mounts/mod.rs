// SPDX-License-Identifier: Apache-2.0
//! The container's mounts, in two halves.
//!
//! The shim, still in the host's mount namespace, makes everything that it can make there as *detached* mounts: bind
//! sources (as they are on the host, shared where they must be), tmpfs, `/dev`, devpts, image volumes. The child, in
//! its own namespaces, makes the mounts that show these namespaces (proc, sysfs, mqueue, cgroup2) and attaches all of
//! them, in order, each onto a handle that was walked inside the root. No mount of a container is ever attached in the
//! host's mount namespace, and no name inside the container is looked up outside it.

mod attach;
mod bind;
mod cgroups;
mod cover;
mod filesystem;
mod image;
mod plan;
mod prepare;
mod proc;
mod shared;

pub use attach::{attach, attach_all};
pub use cover::{mask, read_only};
pub use image::look_in_images;
pub use plan::Plan;
pub use prepare::prepare;
