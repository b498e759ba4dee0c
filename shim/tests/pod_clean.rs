// SPDX-License-Identifier: Apache-2.0
//! Tests the clean-up of pods: from any state, any number of times, whatever is in the way.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use driver::{Shim, checked};
use gorae_proto::shim::{CgroupPlace, CleanPod, request::Verb};
use gorae_shim::cgroup::{self, Resources};
use pods::{Node, interface_exists, one_shot};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn cleaning_is_idempotent_and_needs_nothing_to_be_there() {
    let node = Node::new();
    let pod = node.pod();
    pod.clean();
    pod.setup();
    pod.clean();
    pod.clean();
    pod.assert_clean();
    fs::remove_dir(&pod.run_dir).unwrap();
    pod.clean();
}

#[test]
fn a_set_up_that_is_killed_at_any_moment_leaves_nothing_behind_a_clean_up() {
    let node = Node::new();
    for round in 0..150_u64 {
        let mut pod = node.pod();
        pod.request.own_pid = round % 2 == 0;
        if round % 3 == 0 {
            pod.own_user();
        }
        let mut shim = pod.spawn_setup();
        // The kills are spread over a whole set-up, from before its first step until after its reply.
        let moment = Instant::now() + Duration::from_micros(round * 7919 % 6_000);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        shim.process.kill().unwrap();
        shim.process.wait().unwrap();
        pod.clean();
        pod.assert_clean();
    }
}

#[test]
fn a_second_set_up_works_where_a_first_was_killed_and_cleaned() {
    let node = Node::new();
    let pod = node.pod();
    for micros in [0, 500, 1_000, 1_500, 2_000, 3_000] {
        let mut shim = pod.spawn_setup();
        std::thread::sleep(Duration::from_micros(micros));
        shim.process.kill().unwrap();
        shim.process.wait().unwrap();
        pod.clean();
        driver::eventually("the old interface is gone", || {
            !interface_exists(&pod.request.network.as_ref().unwrap().host_interface)
        });
        pod.setup();
        pod.clean();
        pod.assert_clean();
    }
}

#[test]
fn everything_in_the_pods_cgroups_is_killed_and_removed() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let mut children = Vec::new();
    for (number, dir) in pod.cgroup_dirs().into_iter().enumerate() {
        let below = dir.join(format!("left-{number}"));
        fs::create_dir(&below).unwrap();
        // A cpuset of v1 accepts no process before it has CPUs and memory nodes.
        for file in ["cpuset.cpus", "cpuset.mems"].into_iter().filter(|file| below.join(file).exists()) {
            fs::write(below.join(file), fs::read(dir.join(file)).unwrap()).unwrap();
        }
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        fs::write(below.join("cgroup.procs"), child.id().to_string()).unwrap();
        children.push(child);
    }
    let waiter = std::thread::spawn(move || {
        for mut child in children {
            assert!(!child.wait().unwrap().success());
        }
    });
    pod.clean();
    waiter.join().unwrap();
    pod.assert_clean();
}

/// The directories of `place` in each hierarchy, the cgroup2 mount first.
fn directories(place: &CgroupPlace) -> Vec<std::path::PathBuf> {
    let layout = place.layout.as_ref().unwrap();
    let v1 = layout.v1.iter().map(|hierarchy| &hierarchy.mount_point);
    [&layout.unified].into_iter().chain(v1).map(|mount| format!("{mount}{}", place.path).into()).collect()
}

fn a_cgroup() -> CgroupPlace {
    let path = format!("/gorae-shim-test/{}", driver::unique("half"));
    CgroupPlace { layout: Some(driver::layout()), path }
}

#[test]
fn what_is_left_of_a_cgroup_by_a_removal_that_failed_is_found_again() {
    // Puts a process into the last hierarchy only: on v1, none of our own processes is in just one.
    let place = a_cgroup();
    cgroup::create(checked(place.clone()), &Resources::default()).unwrap();
    let dirs = directories(&place);
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(dirs.last().unwrap().join("cgroup.procs"), child.id().to_string()).unwrap();
    let failure = cgroup::remove(&checked(place.clone())).unwrap_err();
    assert_eq!(failure.errno, libc::EBUSY, "{}", failure.message);
    assert!(dirs[0].exists(), "the directory that leads to the others is gone");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(cgroup::kill(&checked(place.clone())).unwrap(), "it still exists");
    cgroup::remove(&checked(place.clone())).unwrap();
    assert_eq!(dirs.iter().filter(|dir| dir.exists()).count(), 0);
    assert!(!cgroup::kill(&checked(place.clone())).unwrap(), "it does not exist");
}

#[test]
fn a_cgroup_that_only_the_cgroup2_mount_still_has_is_removed() {
    let place = a_cgroup();
    cgroup::create(checked(place.clone()), &Resources::default()).unwrap();
    let dirs = directories(&place);
    dirs.iter().skip(1).for_each(|dir| fs::remove_dir(dir).unwrap());
    assert!(cgroup::kill(&checked(place.clone())).unwrap(), "it still exists");
    cgroup::remove(&checked(place.clone())).unwrap();
    assert!(!dirs[0].exists() && !cgroup::kill(&checked(place.clone())).unwrap());
}

#[test]
fn groups_that_are_nested_deeper_than_any_path_are_removed() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let top = pod.cgroup_dirs().into_iter().find(|dir| dir.join("pids.current").exists()).expect("pids is there");
    let mut at = fs::File::open(top).unwrap();
    for _ in 0..1500 {
        rustix::fs::mkdirat(&at, "nest", rustix::fs::Mode::RWXU).unwrap();
        let below = rustix::fs::openat(&at, "nest", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        at = below.into();
    }
    drop(at);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn an_interface_whose_namespace_is_still_in_use_is_deleted_by_hand() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let mut user = pod.nsenter(&["net"], "exec sleep 1000").stdin(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    pod.clean();
    assert!(begin.elapsed() > Duration::from_millis(150), "the namespace got no time to end");
    assert!(!interface_exists(&pod.request.network.as_ref().unwrap().host_interface));
    user.kill().unwrap();
    user.wait().unwrap();
    pod.assert_clean();
}

#[test]
fn cleaning_waits_for_a_set_up_that_still_runs() {
    let node = Node::new();
    for _ in 0..20 {
        let pod = node.pod();
        let shim = pod.spawn_setup();
        pod.clean();
        let Shim { mut process, mut line } = shim;
        // Either the set-up came first and was undone, or it came second and is complete: never a mixture.
        let ready = matches!(line.wait_reply(1).0, gorae_proto::shim::reply::Body::PodReady(_));
        process.wait().unwrap();
        assert!(ready);
        pod.clean();
        pod.assert_clean();
    }
}

#[test]
fn a_holder_that_does_not_end_is_named() {
    let node = Node::new();
    let pod = node.pod();
    let holder = fs::File::open(&pod.run_dir).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let failure = pod.try_clean().unwrap_err();
    assert_eq!(failure.kind(), gorae_proto::shim::failure::Kind::DeadlineExceeded);
    assert!(failure.message.contains(&format!("process {}", std::process::id())), "{}", failure.message);
}

#[test]
fn parents_are_removed_only_when_empty() {
    let node = Node::new();
    let mut pod = node.pod();
    let parent = format!("/gorae-pod-test/{}-parent", pod.request.pod_id);
    let place = pod.request.cgroup.clone().unwrap();
    pod.request.cgroup = Some(CgroupPlace { path: format!("{parent}/pod"), ..place.clone() });
    pod.setup();
    let other = CgroupPlace { path: format!("{parent}/other"), ..place };
    cgroup::create(checked(other.clone()), &Resources::default()).unwrap();
    let clean = CleanPod { remove_empty_cgroups: vec![parent.clone()], ..pod.clean_request() };
    one_shot("clean-pod", Verb::CleanPod(clean.clone()));
    let unified = clean.cgroup.as_ref().unwrap().layout.as_ref().unwrap().unified.clone();
    assert!(fs::exists(format!("{unified}{parent}")).unwrap());
    cgroup::remove(&checked(other.clone())).unwrap();
    one_shot("clean-pod", Verb::CleanPod(clean));
    assert!(!fs::exists(format!("{unified}{parent}")).unwrap());
    pod.assert_clean();
}
