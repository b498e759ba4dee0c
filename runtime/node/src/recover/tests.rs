// SPDX-License-Identifier: Apache-2.0
//! Reads whole, damaged, foreign and unreadable records, as a start does.

use super::found::Found;
use super::read;
use crate::ids::{ContainerId, PodId};
use crate::places::Places;
use crate::pod::Up;
use crate::{container, pod, records};
use gorae_proto::cri;
use std::path::Path;

fn places(dir: &Path) -> Places {
    let places = Places { root: dir.join("root"), state: dir.join("state") };
    places.prepare().expect("directories");
    places
}

fn write_pod(places: &Places, id: &PodId, version: u32) {
    let network = pod::Network::Builtin { addresses: vec![[10, 64, 0, 2].into()], host_interface: String::new() };
    let record = pod::Record { id: id.clone(), network, ..pod::test_record(cri::PodSandboxConfig::default()) };
    let dir = places.pod_root(id);
    records::make_dir(&dir).expect("directory");
    records::write(&dir, "record", pod::RECORD_KIND, version, &record).expect("record");
}

#[test]
fn a_pod_keeps_its_address_until_its_stop_is_done() {
    let dir = tempfile::tempdir().expect("tempdir");
    let places = places(dir.path());
    let ids = ['a', 'b', 'c'].map(PodId::of_digit);
    for id in &ids {
        write_pod(&places, id, pod::RECORD_VERSION);
    }
    let up = Up { boot_id: "boot".into(), ..Up::default() };
    for id in &ids[..2] {
        records::make_dir(&places.pod_run(id)).expect("directory");
    }
    records::write(&places.pod_run(&ids[0]), "ready", "ready", 1, &up).expect("ready");
    let found = read(&places, "boot").expect("readable");
    let mut live: Vec<String> = found.live_pods().into_iter().map(|p| p.pod_id).collect();
    live.sort();
    assert_eq!(
        live,
        ids[..2].iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ready, being stopped; not the stopped one"
    );
    assert_eq!(found.pods.iter().filter(|(_, up)| up.is_some()).count(), 1);
}

#[test]
fn records_of_a_newer_program_keep_this_one_from_starting_and_stay() {
    let dir = tempfile::tempdir().expect("tempdir");
    let places = places(dir.path());
    let id = PodId::of_digit('a');
    write_pod(&places, &id, pod::RECORD_VERSION + 1);
    let (damaged, unbegun) = (PodId::of_digit('0'), PodId::of_digit('1'));
    for id in [&damaged, &unbegun] {
        records::make_dir(&places.pod_root(id)).expect("directory");
    }
    std::fs::write(places.pod_root(&damaged).join("record"), "rubbish").expect("write");
    let error = read(&places, "boot").expect_err("newer");
    assert!(error.to_string().contains("newer"), "{error}");
    assert!(places.pod_root(&id).join("record").exists() && !places.damaged().exists());
    assert!(places.pod_root(&damaged).join("record").exists() && places.pod_root(&unbegun).exists());
}

#[test]
fn whole_records_that_say_nothing_to_this_program_keep_it_from_starting_and_stay() {
    // The golden record's.
    let (pod, id) = (PodId::of_digit('c'), ContainerId::of_digit('c'));
    for (file, kind) in [
        ("root/pods/ID/record", pod::RECORD_KIND),
        ("root/pods/ID/record.new", pod::RECORD_KIND),
        ("state/pods/ID/ready", "ready"),
        ("root/containers/ID/record", container::RECORD_KIND),
        ("root/containers/ID/record.old", container::RECORD_KIND),
        ("root/containers/ID/end", "end"),
        ("state/containers/ID/state", gorae_proto::state::KIND),
    ] {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        if file.ends_with("ready") {
            write_pod(&places, &pod, pod::RECORD_VERSION);
        }
        if file.starts_with("state/containers") || file.ends_with("old") || file.ends_with("end") {
            let golden = include_bytes!("../golden/container-1");
            records::make_dir(&places.container_root(&id)).expect("directory");
            std::fs::write(places.container_root(&id).join("record"), golden).expect("write");
        }
        let path = dir.path().join(file.replace("ID", &id));
        records::make_dir(path.parent().expect("below a directory")).expect("directory");
        std::fs::write(&path, gorae_kernel::checked::encode(kind, 1, b"{\"another\": \"shape\"}")).expect("write");
        let error = read(&places, "boot").expect_err(file).to_string();
        for part in ["nothing was touched", &path.display().to_string(), "version 1;", "run that one again"] {
            assert!(error.contains(part), "{file}: {error}");
        }
        assert!(path.exists() && !places.damaged().exists(), "{file}");
    }
}

#[test]
fn a_pod_that_only_a_later_program_can_run_keeps_this_one_from_starting_and_stays() {
    let record = pod::Record { owner: pod::Owner::Engine, ..pod::test_record(cri::PodSandboxConfig::default()) };
    for file in ["record", "record.new"] {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        let pod_root = places.pod_root(&record.id);
        records::make_dir(&pod_root).expect("directory");
        records::write(&pod_root, file, pod::RECORD_KIND, pod::RECORD_VERSION, &record).expect("record");
        let error = read(&places, "boot").expect_err(file).to_string();
        let path = pod_root.join(file).display().to_string();
        for part in ["nothing was touched", &path, "the daemon's own engine", "run that one again"] {
            assert!(error.contains(part), "{file}: {error}");
        }
        assert!(pod_root.join(file).exists() && !places.damaged().exists(), "{file}");
    }
}

#[test]
fn a_pod_of_a_cni_network_is_found_whatever_the_configuration_says_by_now() {
    let network = pod::Network::Cni { name: "flannel".into(), maps_ports: false };
    let record = pod::Record { network, ..pod::test_record(cri::PodSandboxConfig::default()) };
    let dir = tempfile::tempdir().expect("tempdir");
    let places = places(dir.path());
    let pod_root = places.pod_root(&record.id);
    records::make_dir(&pod_root).expect("directory");
    records::write(&pod_root, "record", pod::RECORD_KIND, pod::RECORD_VERSION, &record).expect("record");
    let found = read(&places, "boot").expect("found");
    assert_eq!(found.pods.iter().map(|(record, _)| &record.id).collect::<Vec<_>>(), [&record.id]);
    assert!(found.live_pods().is_empty(), "it has no address of the built-in network");
    assert!(!found.is_up(&record.id), "it has no record of being up");
    let port_mappings = vec![cri::PortMapping { host_port: 80, container_port: 80, ..Default::default() }];
    let record = pod::Record { config: cri::PodSandboxConfig { port_mappings, ..Default::default() }, ..record };
    let up = Up { addresses: vec![[10, 9, 0, 2].into()], ..Up::default() };
    let present = [record.id.clone()].into();
    let found = Found { pods: vec![(record, Some(up))], present, ..Found::default() };
    let live = found.live_pods();
    assert_eq!(live.iter().map(|pod| (pod.from_pool, pod.ips.len())).collect::<Vec<_>>(), [(false, 1)]);
}

#[test]
fn a_whole_record_of_another_object_keeps_the_daemon_from_starting_and_stays() {
    let dir = tempfile::tempdir().expect("tempdir");
    let places = places(dir.path());
    let ids = ['a', 'b'].map(PodId::of_digit);
    write_pod(&places, &ids[0], pod::RECORD_VERSION);
    std::fs::rename(places.pod_root(&ids[0]), places.pod_root(&ids[1])).expect("renamed");
    let error = read(&places, "boot").expect_err("another's").to_string();
    assert!(error.contains("nothing was touched") && error.contains(ids[0].as_str()), "{error}");
    assert!(places.pod_root(&ids[1]).join("record").exists() && !places.damaged().exists());
}

#[test]
fn a_damaged_record_costs_its_object() {
    let dir = tempfile::tempdir().expect("tempdir");
    let places = places(dir.path());
    let ids = ['a', 'b'].map(PodId::of_digit);
    for id in &ids {
        records::make_dir(&places.pod_root(id)).expect("directory");
        records::make_dir(&places.pod_run(id)).expect("directory");
    }
    std::fs::write(places.pod_root(&ids[0]).join("record"), "rubbish").expect("write");
    // A directory in its place can never be read as a record.
    records::make_dir(&places.pod_root(&ids[1]).join("record")).expect("directory");
    let mut found = read(&places, "boot").expect("the daemon starts");
    for id in &ids {
        assert!(places.damaged().join(format!("pod-{id}")).exists());
    }
    found.strays.pods.sort();
    assert_eq!(found.strays.pods, ids);
}

#[test]
fn a_record_that_cannot_be_read_now_keeps_the_daemon_from_starting_and_nothing_is_touched() {
    let (pod, id) = (PodId::of_digit('a'), ContainerId::of_digit('a'));
    for unread in ["root/pods/ID/record", "root/pods/ID/record.new", "state/pods/ID/ready", "root/containers/ID/record"]
    {
        let dir = tempfile::tempdir().expect("tempdir");
        let places = places(dir.path());
        if unread.ends_with("ready") {
            write_pod(&places, &pod, pod::RECORD_VERSION);
        }
        records::make_dir(&places.pod_run(&pod)).expect("directory");
        records::make_dir(&places.container_run(&id)).expect("directory");
        let file = dir.path().join(unread.replace("ID", &id));
        records::make_dir(file.parent().expect("below a directory")).expect("directory");
        // A link to itself: every read fails, as on a faulty disk.
        std::os::unix::fs::symlink(&file, &file).expect("link");
        let error = read(&places, "boot").expect_err("not read").to_string();
        assert!(error.contains(&file.display().to_string()) && error.contains("start again"), "{error}");
        assert!(file.is_symlink() && !places.damaged().exists(), "{unread}");
    }
}
