// SPDX-License-Identifier: Apache-2.0
//! Builds a container's [`Order`] from the record, the pod and facts about the node. It looks at devices and profiles and
//! changes nothing.
//!
//! ```text
//! request, image ── resolve, environment ──▶ record
//! record, pod, facts ── namespaces, mounts, devices, process, resources, hooks ──▶ Order ──▶ the shim's message
//!                                                                                    └─────▶ config.json
//! ```
//!
//! It runs at create, so that a request that cannot work fails there, and again at start.

pub mod apparmor;
pub mod devices;
pub mod environment;
pub mod facts;
pub mod hooks;
pub mod mounts;
pub mod namespaces;
pub mod paths;
pub mod process;
pub mod profile;
pub mod resolve;
pub mod resources;
pub mod seccomp;
pub mod security;
pub mod selinux;

use super::Record;
use crate::error::{Error, Result};
use crate::pod::{Pod, request};
use facts::Facts;
use gorae_order::namespaces::{IdMap, IdMaps, Namespace};
use gorae_order::{Order, Root, Stdin, wire};
use gorae_proto::shim;

/// Builds the order.
///
/// # Errors
/// `InvalidArgument` with the field for an invalid request; `FailedPrecondition` and `Unimplemented` for one that this
/// node cannot serve.
pub fn build<'a>(record: &'a Record, pod: &Pod, facts: &Facts) -> Result<Order<'a>> {
    let config = &record.config;
    let security = security::context(config);
    selinux::check(security.selinux_options.as_ref())?;
    let id_maps = pod.user_mapping().map(id_maps);
    let namespaces = namespaces::build(pod, security, facts)?;
    let (devices, device_rules) = devices::build(config, &record.cdi, security.privileged)?;
    let unless_privileged =
        |field, list| if security.privileged { Ok(Vec::new()) } else { paths::clean_all(field, list) };
    Ok(Order {
        id: &record.id,
        run_dir: facts.places.container_run(&record.id).to_string_lossy().into_owned(),
        root_dir: facts.places.container_root(&record.id).to_string_lossy().into_owned(),
        root: Root {
            layers: &record.image.layers,
            readonly: security.readonly_rootfs,
            propagation: mounts::root_propagation(&config.mounts),
            directories: &record.process.volumes,
        },
        process: process::build(record, facts.open_files, security)?,
        mounts: mounts::build(record, pod, id_maps.as_ref(), facts)?,
        devices,
        device_rules,
        masked_paths: unless_privileged("masked_paths", &security.masked_paths)?,
        readonly_paths: unless_privileged("readonly_paths", &security.readonly_paths)?,
        cgroup: &record.cgroup,
        resources: resources::build(config.linux.as_ref().and_then(|l| l.resources.as_ref()), &facts.layout)?,
        sysctls: request::sysctls(&pod.record.config)?.into_iter().map(|one| (one.name, one.value)).collect(),
        hooks: hooks::all(record)?,
        hostname: if namespaces.uts == Namespace::Node { None } else { Some(pod.record.hostname()?) },
        annotations: &config.annotations,
        log: record.log_path.as_deref(),
        stdin: match (config.stdin, config.stdin_once) {
            (false, _) => Stdin::Empty,
            (true, false) => Stdin::Open,
            (true, true) => Stdin::Once,
        },
        stop_signal: record.process.stop_signal,
        namespaces,
        id_maps,
    })
}

/// Builds the message that starts the container's shim.
///
/// # Errors
/// Those of [`build`].
pub fn message(record: &Record, pod: &Pod, facts: &Facts) -> Result<shim::Start> {
    let order = build(record, pod, facts)?;
    wire::start(order, &facts.layout).map_err(|e| Error::internal(format!("write the configuration for hooks: {e}")))
}

/// The id maps of a pod, which were checked when it was made.
fn id_maps(mapping: shim::UserMapping) -> IdMaps {
    let one = |map: shim::IdMap| IdMap { inside: map.container_id, outside: map.host_id, length: map.length };
    let list = |maps: Vec<shim::IdMap>| maps.into_iter().map(one).collect();
    IdMaps { uids: list(mapping.uids), gids: list(mapping.gids) }
}
