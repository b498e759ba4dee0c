// SPDX-License-Identifier: Apache-2.0
//! `linux`: namespaces, id maps, devices, cgroup, seccomp, and the masked and read-only paths.

use super::object::object;
use super::{mounts, process, resources};
use crate::devices::{Device, Node};
use crate::namespaces::{Namespace, Namespaces};
use crate::order::Order;
use crate::process::Identity;
use serde_json::{Map, Value, json};

pub(super) fn write(order: &Order<'_>, identity: Option<Identity<'_>>) -> Result<Value, gorae_seccomp::Error> {
    let bounding = order.process.capabilities.bounding;
    let seccomp = order.process.seccomp.as_ref().map(|seccomp| process::seccomp(seccomp, bounding));
    let sysctls: Map<String, Value> =
        order.sysctls.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let maps = order.id_maps.as_ref();
    let owner = process::ids(&order.process.user, identity);
    Ok(object([
        ("uidMappings", maps.map_or(Value::Null, |maps| mounts::id_mappings(&maps.uids))),
        ("gidMappings", maps.map_or(Value::Null, |maps| mounts::id_mappings(&maps.gids))),
        ("sysctl", if sysctls.is_empty() { Value::Null } else { sysctls.into() }),
        ("resources", resources::write(&order.resources, &order.device_rules)),
        ("cgroupsPath", order.cgroup.into()),
        ("namespaces", namespaces(&order.namespaces)),
        ("devices", order.devices.iter().map(|one| device(one, owner)).collect()),
        ("seccomp", seccomp.transpose()?.unwrap_or(Value::Null)),
        ("rootfsPropagation", mounts::word(order.root.propagation).into()),
        ("maskedPaths", json!(order.masked_paths)),
        ("readonlyPaths", json!(order.readonly_paths)),
    ]))
}

/// Lists the namespaces; kinds for which the container is in the node's namespace are left out.
fn namespaces(of: &Namespaces) -> Value {
    let one = |(kind, file, namespace): (&str, &str, &Namespace)| {
        let path = match namespace {
            Namespace::Node => return None,
            Namespace::New => Value::Null,
            Namespace::Pinned(path) => path.as_str().into(),
            Namespace::OfProcess(process) => format!("/proc/{}/ns/{file}", process.pid()).into(),
        };
        Some(object([("type", kind.into()), ("path", path)]))
    };
    let all = [
        ("mount", "mnt", &Namespace::New),
        ("user", "user", &of.user),
        ("network", "net", &of.network),
        ("uts", "uts", &of.uts),
        ("ipc", "ipc", &of.ipc),
        ("pid", "pid", &of.pid),
        ("cgroup", "cgroup", &of.cgroup),
    ];
    all.into_iter().filter_map(one).collect()
}

fn device(device: &Device, owner: (u32, u32)) -> Value {
    let (kind, numbers) = match device.node {
        Node::Character(major, minor) => ("c", Some((major, minor))),
        Node::Block(major, minor) => ("b", Some((major, minor))),
        Node::Fifo => ("p", None),
    };
    object([
        ("path", device.path.as_str().into()),
        ("type", kind.into()),
        ("major", json!(numbers.map(|(major, _)| major))),
        ("minor", json!(numbers.map(|(_, minor)| minor))),
        ("fileMode", device.mode.into()),
        ("uid", device.uid.unwrap_or(owner.0).into()),
        ("gid", device.gid.unwrap_or(owner.1).into()),
    ])
}
