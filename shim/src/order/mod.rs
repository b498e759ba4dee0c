// SPDX-License-Identifier: Apache-2.0
//! The container that a shim is to start: the start message, checked once, in types that cannot hold an invalid state.
//!
//! After [`Order::checked`], no code checks again whether a field is set or what a word in it means. Facts that are only
//! known later are not checked here: whether a path exists, which id a user name has, what the kernel accepts.

mod mount;
mod process;
mod rootfs;

pub use mount::{Bind, Image, Mount, What};
pub use process::{Process, Rlimit, Seccomp, score};
pub use rootfs::Rootfs;

use crate::cgroup::{Place, Resources};
use crate::device_policy::{self, Rule};
use crate::devices::Device;
use crate::failure::Result;
use crate::hooks::Hooks;
use crate::idmap::IdMaps;
use crate::malformed::{self, Malformed, absolute, each, non_empty, required};
use crate::namespaces::{self, Kind, Namespace};
use crate::wire;
use std::path::PathBuf;
use std::rc::Rc;

/// A container to be started.
#[derive(Debug)]
pub struct Order {
    /// Its id.
    pub container_id: String,
    /// The directory of the state record and the socket; it exists.
    pub run_dir: PathBuf,
    /// The directory of the writable layer and the volumes; it exists.
    pub root_dir: PathBuf,
    /// The parts of its root.
    pub rootfs: Rootfs,
    /// Its first process.
    pub process: Process,
    /// New namespaces and those that it joins. For any other kind, it uses the host's.
    pub namespaces: Vec<Namespace>,
    /// Its mounts, in order.
    pub mounts: Vec<Mount>,
    /// Device nodes in addition to those that every container has.
    pub devices: Vec<Device>,
    /// The devices that it may use; empty: all.
    pub device_rules: Vec<Rule>,
    /// Paths in it that appear empty.
    pub masked_paths: Vec<String>,
    /// Paths in it that cannot be changed.
    pub readonly_paths: Vec<String>,
    /// Its cgroup.
    pub cgroup: Place,
    /// The cgroup's limits.
    pub resources: Resources,
    /// Its log; `None`: output is discarded.
    pub log_path: Option<PathBuf>,
    /// Whether its stdin is kept open for clients.
    pub stdin: bool,
    /// Whether its stdin is closed for good when the first client that attached to it closes its end.
    pub stdin_once: bool,
    /// How its ids map to the host's.
    pub ids: IdMaps,
    /// Programs to run at certain points of its life.
    pub hooks: Option<Rc<Hooks>>,
    /// Whether the request carries the device program of an earlier start with these `device_rules`.
    pub has_device_program: bool,
}

impl Order {
    /// Checks a start message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(start: wire::Start) -> Result<Self> {
        Ok(check(start)?)
    }
}

fn check(start: wire::Start) -> malformed::Result<Order> {
    let namespaces = namespaces::checked(start.namespaces, start.private_cgroup_namespace)?;
    let ids = ids(start.user_mapping, &namespaces)?;
    let path = |path| absolute("", path);
    Ok(Order {
        container_id: required("container_id", non_empty(start.container_id))?,
        run_dir: absolute("run_dir", start.run_dir)?.into(),
        root_dir: absolute("root_dir", start.root_dir)?.into(),
        rootfs: Rootfs::checked(required("rootfs", start.rootfs)?).map_err(|wrong| wrong.within("rootfs"))?,
        process: Process::checked(required("process", start.process)?).map_err(|wrong| wrong.within("process"))?,
        namespaces,
        mounts: each("mounts", start.mounts, Mount::checked)?,
        devices: each("devices", start.devices, Device::checked)?,
        device_rules: device_policy::checked(start.device_rules)?,
        masked_paths: each("masked_paths", start.masked_paths, path)?,
        readonly_paths: each("readonly_paths", start.readonly_paths, path)?,
        cgroup: Place::checked(required("cgroup", start.cgroup)?).map_err(|wrong| wrong.within("cgroup"))?,
        resources: (start.resources)
            .map_or_else(|| Ok(Resources::default()), Resources::checked)
            .map_err(|wrong| wrong.within("resources"))?,
        log_path: non_empty(start.log_path).map(|path| absolute("log_path", path)).transpose()?.map(PathBuf::from),
        stdin: start.stdin,
        stdin_once: start.stdin_once,
        ids,
        hooks: start.hooks.map(Hooks::checked).transpose().map_err(|wrong| wrong.within("hooks"))?.map(Rc::new),
        has_device_program: start.device_program,
    })
}

fn ids(mapping: Option<wire::UserMapping>, namespaces: &[Namespace]) -> malformed::Result<IdMaps> {
    let ids = match mapping {
        Some(mapping) => IdMaps::checked(mapping).map_err(|wrong| wrong.within("user_mapping"))?,
        None => IdMaps::default(),
    };
    let joins_user_namespace = namespaces.iter().any(|namespace| namespace.kind == Kind::User);
    if joins_user_namespace == ids.is_identity() {
        return Err(Malformed::new("user_mapping", "must be set if, and only if, a user namespace is joined"));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
