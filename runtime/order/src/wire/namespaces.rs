// SPDX-License-Identifier: Apache-2.0
//! The namespaces and the id maps.

use crate::namespaces::{IdMap, IdMaps, Namespace, Namespaces};
use gorae_proto::shim::{self, namespace::Kind};

/// Lists the namespaces; kinds for which the container is in the node's namespace are left out.
pub(super) fn namespaces(of: Namespaces) -> Vec<shim::Namespace> {
    let one = |(kind, namespace): (Kind, Namespace)| {
        let (path, start_ticks) = match namespace {
            Namespace::Node => return None,
            Namespace::New => (String::new(), 0),
            Namespace::Pinned(path) => (path, 0),
            Namespace::OfProcess(process) => (format!("/proc/{}/ns/{}", process.pid(), file(kind)), process.start()),
        };
        Some(shim::Namespace { kind: kind.into(), path, start_ticks })
    };
    let all = [
        (Kind::Mount, Namespace::New),
        (Kind::User, of.user),
        (Kind::Net, of.network),
        (Kind::Uts, of.uts),
        (Kind::Ipc, of.ipc),
        (Kind::Pid, of.pid),
        (Kind::Cgroup, of.cgroup),
    ];
    all.into_iter().filter_map(one).collect()
}

/// The name below /proc/PID/ns.
fn file(kind: Kind) -> &'static str {
    match kind {
        Kind::Mount => "mnt",
        Kind::Pid => "pid",
        Kind::Net => "net",
        Kind::Ipc => "ipc",
        Kind::Uts => "uts",
        Kind::User => "user",
        Kind::Cgroup => "cgroup",
    }
}

pub(super) fn user_mapping(maps: &IdMaps) -> shim::UserMapping {
    shim::UserMapping { uids: id_maps(&maps.uids), gids: id_maps(&maps.gids) }
}

pub(super) fn id_maps(maps: &[IdMap]) -> Vec<shim::IdMap> {
    let one = |map: &IdMap| shim::IdMap { container_id: map.inside, host_id: map.outside, length: map.length };
    maps.iter().map(one).collect()
}
