// SPDX-License-Identifier: Apache-2.0
//! Tests that the device policy is in force: processes in the cgroup open and make real device nodes.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;

use driver::{checked, layout, unique};
use gorae_proto::shim::{Capabilities, CgroupPlace, Device, DeviceRule};
use gorae_shim::cgroup::{self, Place, Resources};
use gorae_shim::device_policy;
use std::process::Command;
use std::time::Instant;

fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule { allow, kind: kind.into(), major, minor, access: access.into() }
}

struct Limited {
    place: Place,
    dir: std::path::PathBuf,
}

impl Limited {
    fn new(rules: &[DeviceRule]) -> Self {
        let place = CgroupPlace { layout: Some(layout()), path: format!("/gorae-shim-test/{}", unique("devices")) };
        let dir = std::path::PathBuf::from(format!("{}{}", layout().unified, place.path));
        let place = checked(place);
        let cgroup = cgroup::create(place.clone(), &Resources::default()).expect("make cgroup");
        let rules = device_policy::checked(rules.to_vec()).expect("good rules");
        device_policy::apply(&cgroup, &rules, None).expect("set device policy");
        Self { place, dir }
    }

    /// Whether a shell in the cgroup can run this command.
    fn can(&self, what: &str) -> bool {
        let script = format!("echo 0 > {}/cgroup.procs || exit 9; {what}", self.dir.display());
        let status = Command::new("sh").args(["-c", &script]).stderr(std::process::Stdio::null()).status().unwrap();
        assert_ne!(status.code(), Some(9), "join cgroup");
        status.success()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        cgroup::remove(&self.place).expect("remove cgroup");
    }
}

#[test]
fn only_what_the_rules_allow_can_be_opened_or_made() {
    let limited = Limited::new(&[
        rule(false, "a", -1, -1, "rwm"),
        rule(true, "c", 1, 3, "rwm"),
        rule(true, "c", 1, 5, "r"),
        rule(true, "c", 1, 7, "rwm"),
        rule(false, "c", 1, 7, "w"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str| dir.path().join(name).display().to_string();
    for (what, allowed) in [
        (": <> /dev/null".to_owned(), true),
        (": < /dev/zero".to_owned(), true),
        (": > /dev/zero".to_owned(), false),
        (": <> /dev/zero".to_owned(), false),
        (": < /dev/full".to_owned(), true),
        (": <> /dev/full".to_owned(), false),
        (": < /dev/urandom".to_owned(), false),
        (format!("mknod {} c 1 3", node("null")), true),
        (format!("mknod {} c 1 5", node("zero")), false),
        (format!("mknod {} b 1 3", node("block")), false),
    ] {
        assert_eq!(limited.can(&what), allowed, "{what}");
    }
}

#[test]
fn an_empty_list_is_no_policy() {
    let limited = Limited::new(&[]);
    assert!(limited.can(": < /dev/urandom && : <> /dev/zero"));
}

#[test]
fn a_policy_costs_well_under_a_millisecond() {
    let rules: Vec<_> = (0..20).map(|n| rule(true, "c", 1, n, "rwm")).collect();
    let place = CgroupPlace { layout: Some(layout()), path: format!("/gorae-shim-test/{}", unique("devices")) };
    let place = checked(place);
    let made = cgroup::create(place.clone(), &Resources::default()).expect("make cgroup");
    let rules = device_policy::checked(rules).expect("good rules");
    let mut times: Vec<_> = (0..60)
        .map(|_| {
            let begin = Instant::now();
            device_policy::apply(&made, &rules, None).expect("set device policy");
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("load and attach 20 rules: p50 {:?}", times[times.len() / 2]);
    cgroup::remove(&place).expect("remove cgroup");
    assert!(times[0].as_micros() < 1_000, "{times:?}");
}

/// A container that reports how it can access /dev/kmsg.
fn with_kmsg(access: &str) -> driver::Bench {
    let mut bench = driver::Bench::sh("(: </dev/kmsg) && echo read; (: >/dev/kmsg) && echo write; true");
    let (path, kind) = ("/dev/kmsg".into(), "c".into());
    // CAP_SYSLOG, without which no process can read it.
    let bits = driver::DEFAULT_CAPABILITIES | 1 << 34;
    let capabilities = Capabilities { bounding: bits, effective: bits, permitted: bits, ..Default::default() };
    bench.process().capabilities = Some(capabilities);
    bench.start.devices.push(Device { path, kind, major: 1, minor: 11, mode: 0o666, ..Device::default() });
    bench.start.device_rules = vec![rule(false, "a", -1, -1, "rwm"), rule(true, "c", 1, 11, access)];
    bench
}

fn said(mut container: driver::Running) -> String {
    assert_eq!(container.wait().exit_code, 0);
    let output = container.bench.output("stdout");
    output.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_container_is_held_to_its_rules() {
    for (access, opened) in [("", ""), ("r", "read"), ("rw", "read write")] {
        assert_eq!(said(with_kmsg(access).run()), opened);
    }
}

#[test]
fn a_container_with_the_program_of_an_earlier_one_is_held_to_the_same_rules() {
    let (first, program) = with_kmsg("r").run_sharing(None);
    let program = program.expect("the program that was loaded");
    assert_eq!(said(first), "read");
    // The first container is gone, and so is its cgroup.
    for _ in 0..2 {
        let (container, loaded) = with_kmsg("r").run_sharing(Some(&program));
        assert!(loaded.is_none(), "it was loaded again");
        assert_eq!(said(container), "read");
    }
}

#[test]
fn no_process_of_a_container_has_the_program_open() {
    let mut bench = with_kmsg("r");
    bench.process().args =
        ["/bin/sh", "-c", "ls -l /proc/self/fd /proc/1/fd"].map(|arg| arg.as_bytes().to_vec()).to_vec();
    let (mut container, program) = bench.run_sharing(None);
    assert!(program.is_some());
    container.wait();
    let output = container.bench.output("stdout");
    assert!(output.contains("/proc/1/fd") && !output.contains("bpf"), "{output}");
}
