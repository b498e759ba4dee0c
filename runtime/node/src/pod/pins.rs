// SPDX-License-Identifier: Apache-2.0
//! The pins of a pod's namespaces, which other programs on the node can unmount or delete. Without them the pod is
//! listed as ready, and nothing can be started in it. A lost pin is recreated from a process of the pod that lives in the
//! namespace.

use super::{Pins, Pod, Record, State, Up, request};
use crate::container::State as ContainerState;
use crate::error::Result;
use crate::machine::Machine;
use crate::objects::Objects;
use crate::places::Places;
use gorae_kernel::process::ProcessId;
use gorae_proto::cri::NamespaceMode;
use gorae_proto::shim::{Member, Pin, PinPod};
use gorae_shims as shims;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The magic number of nsfs, the file system of namespaces.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// The kinds of namespace that a pod has to itself.
pub(super) fn kinds(record: &Record) -> impl Iterator<Item = &'static str> {
    let options = request::namespaces(&record.config);
    let user = request::user_mapping(&record.config).is_ok_and(|mapping| mapping.is_some());
    let own_network = options.network() != NamespaceMode::Node;
    let all = [
        ("net", own_network),
        ("uts", request::own_uts(&record.config)),
        ("ipc", options.ipc() != NamespaceMode::Node),
        ("user", user),
        ("pid", options.pid() == NamespaceMode::Pod),
    ];
    all.into_iter().filter(|(_, own)| *own).map(|(kind, _)| kind)
}

/// The namespaces that are pinned now; a pin that is not a namespace is left out.
pub fn look(record: &Record, run_dir: &Path) -> Pins {
    let of = |kind: &str| {
        let path = record.pin(run_dir, kind);
        let file_system = rustix::fs::statfs(&path).ok()?;
        let inode = std::fs::symlink_metadata(&path).ok()?.ino();
        (file_system.f_type == NSFS_MAGIC).then(|| (kind.to_owned(), inode))
    };
    kinds(record).filter_map(of).collect()
}

/// The pins that a ready pod should have and lacks.
pub fn missing(places: &Places, pod: &Pod) -> Vec<Pin> {
    let State::Ready(up) = pod.state() else { return Vec::new() };
    let there = look(&pod.record, &places.pod_run(pod.id()));
    missing_of(&pod.record, &up, &there)
}

fn missing_of(record: &Record, up: &Up, there: &Pins) -> Vec<Pin> {
    let own_network = request::namespaces(&record.config).network() != NamespaceMode::Node;
    // Earlier builds did not give a pod on the node's network its own host name.
    let made = |kind: &&str| *kind != "uts" || own_network || up.pins.contains_key(*kind);
    let wanted = kinds(record).filter(made);
    // 0: a pod of an earlier build lost the pin before the namespace's number was recorded. No namespace has number 0.
    let wanted = wanted.map(|kind| Pin { kind: kind.into(), inode: up.pins.get(kind).copied().unwrap_or(0) });
    wanted.filter(|pin| there.get(&pin.kind) != Some(&pin.inode)).collect()
}

/// Pins the namespaces of these lost pins again.
///
/// # Errors
/// The shim's failure: no process of the pod lives in one of the namespaces, and no pin is changed.
pub async fn mend(machine: &Machine, objects: &Objects, pod: &Pod, pins: Vec<Pin>) -> Result<()> {
    let request = PinPod {
        pod_id: pod.id().to_string(),
        run_dir: machine.places.pod_run(pod.id()).to_string_lossy().into_owned(),
        members: members(objects, pod),
        pins,
        netns: pod.record.netns_on_wire(),
    };
    Ok(shims::pin_pod(&machine.spawner, request).await?)
}

/// The processes that were started in the pod's namespaces: its init, and the first process of each running container.
fn members(objects: &Objects, pod: &Pod) -> Vec<Member> {
    let init = match pod.state() {
        State::Ready(up) => up.init,
        State::NotReady => None,
    };
    let containers = objects.of_pod(pod.id()).into_iter().filter_map(|container| match container.state() {
        ContainerState::Running { process, .. } => process,
        _ => None,
    });
    let member = |process: ProcessId| Member { pid: process.pid(), start_ticks: process.start() };
    init.into_iter().chain(containers).map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_proto::cri;

    fn record(network: NamespaceMode, pid: NamespaceMode, hostname: &str) -> Record {
        let options = cri::NamespaceOption { network: network.into(), pid: pid.into(), ..Default::default() };
        crate::pod::test_record(cri::PodSandboxConfig { hostname: hostname.into(), ..crate::pod::test_config(options) })
    }

    fn pins(list: &[(&str, u64)]) -> Pins {
        list.iter().map(|&(kind, inode)| (kind.to_owned(), inode)).collect()
    }

    fn gone(record: &Record, noted: &[(&str, u64)], there: &[(&str, u64)]) -> Vec<(String, u64)> {
        let up = Up { pins: pins(noted), ..Up::default() };
        missing_of(record, &up, &pins(there)).into_iter().map(|pin| (pin.kind, pin.inode)).collect()
    }

    #[test]
    fn a_pin_is_missing_when_it_is_gone_and_when_it_is_another_namespace() {
        use NamespaceMode::{Container, Pod};
        let all = [("net", 1), ("uts", 2), ("ipc", 3), ("pid", 4)];
        let shared = record(Pod, Pod, "");
        assert_eq!(gone(&shared, &all, &all), []);
        assert_eq!(gone(&shared, &all, &all[1..]), [("net".to_owned(), 1)]);
        assert_eq!(gone(&shared, &all, &[("net", 9), ("uts", 2), ("ipc", 3), ("pid", 4)]), [("net".to_owned(), 1)]);
        assert_eq!(gone(&record(Pod, Container, ""), &all[..3], &all[..3]), [], "no container shares its processes");
    }

    #[test]
    fn a_pod_of_an_earlier_build_misses_what_it_must_have_had_and_no_more() {
        use NamespaceMode::{Container, Node, Pod};
        assert_eq!(
            gone(&record(Pod, Container, ""), &[("uts", 2), ("ipc", 3)], &[("uts", 2), ("ipc", 3)]),
            [("net".to_owned(), 0)]
        );
        assert_eq!(gone(&record(Node, Container, "name"), &[("ipc", 3)], &[("ipc", 3)]), [], "it never had the name");
        assert_eq!(
            gone(&record(Node, Container, "name"), &[("ipc", 3), ("uts", 2)], &[("ipc", 3)]),
            [("uts".to_owned(), 2)]
        );
    }

    #[test]
    fn a_file_is_not_a_pin() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::create_dir(dir.path().join("ns")).expect("directory");
        for kind in ["net", "uts"] {
            std::fs::write(dir.path().join("ns").join(kind), "").expect("file");
        }
        std::os::unix::fs::symlink("/proc/self/ns/ipc", dir.path().join("ns/ipc")).expect("link");
        let there = look(&record(NamespaceMode::Pod, NamespaceMode::Container, ""), dir.path());
        let own = std::fs::metadata("/proc/self/ns/ipc").expect("there").ino();
        assert!(
            !there.contains_key("net") && !there.contains_key("uts") && there.get("ipc") != Some(&own),
            "{there:?}"
        );
    }
}
