// SPDX-License-Identifier: Apache-2.0
//! The default mounts, which need no request: those of every Linux system, and the pod's files.

use crate::places::Places;
use crate::pod::{Pod, etc_files};
use gorae_order::mounts::{Access, Attributes, Bind, Mount, Source};
use gorae_order::namespaces::IdMaps;
use gorae_proto::cri::NamespaceMode;
use std::borrow::Cow;
use std::path::Path;

/// The file systems of a Linux system.
pub(super) fn build<'a>(pod: &Pod, places: &Places, privileged: bool) -> Vec<Mount<'a>> {
    let access = if privileged { Access::ReadWrite } else { Access::ReadOnly };
    let quiet = Attributes::QUIET;
    let mount = |destination: &str, attributes, source| Mount { destination: destination.into(), source, attributes };
    let host_network_in_user_namespace = !pod.own_network() && pod.user_mapping().is_some();
    // A sysfs of its own would not show such a container its network.
    let sys = if host_network_in_user_namespace {
        mount("/sys", Attributes { access: Access::ReadOnlyBelow, ..quiet }, Source::Bind(Bind::of("/sys")))
    } else {
        mount("/sys", Attributes { access, ..quiet }, Source::Sysfs)
    };
    let dev = Attributes { noexec: false, nodev: false, ..quiet };
    vec![
        mount("/proc", quiet, Source::Proc),
        mount("/dev", dev, Source::Tmpfs { options: Cow::Borrowed("mode=755,size=65536k") }),
        mount("/dev/pts", Attributes { nodev: false, ..quiet }, terminals()),
        mount("/dev/mqueue", quiet, Source::Mqueue),
        mount("/dev/shm", quiet, Source::Bind(Bind::of(shared_memory(pod, places).to_string_lossy()))),
        sys,
        mount("/sys/fs/cgroup", Attributes { access, ..quiet }, Source::Cgroup),
    ]
}

/// Group 5 is the `tty` group on Linux systems.
fn terminals() -> Source<'static> {
    Source::Devpts { options: Cow::Borrowed("newinstance,ptmxmode=0666,mode=0620,gid=5") }
}

fn shared_memory<'a>(pod: &Pod, places: &Places) -> Cow<'a, Path> {
    match pod.namespaces().ipc() {
        NamespaceMode::Node => Cow::Borrowed(Path::new("/dev/shm")),
        _ => Cow::Owned(places.pod_run(pod.id()).join("shm")),
    }
}

/// The pod's files below /etc.
pub(super) fn pod_files<'a>(
    pod: &Pod,
    places: &Places,
    id_maps: Option<&IdMaps>,
    readonly: bool,
) -> impl Iterator<Item = Mount<'a>> {
    let dir = places.pod_root(pod.id());
    let access = if readonly { Access::ReadOnly } else { Access::ReadWrite };
    etc_files::FILES.iter().map(move |(name, destination)| Mount {
        destination: (*destination).into(),
        source: Source::Bind(Bind { id_maps: id_maps.cloned(), ..Bind::of(dir.join(name).to_string_lossy()) }),
        attributes: Attributes { access, ..Attributes::default() },
    })
}
