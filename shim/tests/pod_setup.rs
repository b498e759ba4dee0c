// SPDX-License-Identifier: Apache-2.0
//! Tests what a pod has after its set-up, and that a failed set-up leaves nothing.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use gorae_proto::shim::failure::Kind;
use pods::{Node, own_inode};
use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}")).trim_end().to_owned()
}

#[test]
fn a_pods_namespaces_are_pinned_and_its_own() {
    let node = Node::new();
    let (one, mut two) = (node.pod(), node.pod());
    two.only_ipv4("10.77.9.9");
    let ready = one.setup();
    two.setup();
    assert_eq!((ready.init_pid, ready.init_start_ticks), (0, 0));
    for kind in ["net", "ipc", "uts"] {
        let inodes = [own_inode(kind), one.inode(kind), two.inode(kind)];
        assert!(inodes[0] != inodes[1] && inodes[1] != inodes[2] && inodes[0] != inodes[2], "{kind}");
    }
    assert!(!one.pin("pid").exists() && !one.pin("user").exists());
    let (host, inside) = (read("/proc/sys/kernel/hostname"), || read("/proc/sys/kernel/hostname"));
    assert_eq!(one.inside(&["uts"], inside), "box");
    assert_ne!(host, "box");
    one.clean();
    two.clean();
    one.assert_clean();
    two.assert_clean();
}

#[test]
fn only_what_was_asked_for_is_made() {
    let node = Node::new();
    let mut pod = node.pod();
    (pod.request.own_net, pod.request.own_ipc, pod.request.network) = (false, false, None);
    pod.setup();
    let pins: Vec<_> = fs::read_dir(pod.run_dir.join("ns")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(pins, ["uts"]);
    assert!(!pod.run_dir.join("shm").exists());
    pod.clean();
    pod.assert_clean();
}

#[test]
fn shared_memory_is_a_tmpfs_of_64_mib() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let mounts = read("/proc/thread-self/mounts");
    let shm = pod.run_dir.join("shm").display().to_string();
    let line = mounts.lines().find(|line| line.contains(&shm)).expect("mounted");
    for option in ["nosuid", "nodev", "noexec", "size=65536k"] {
        assert!(line.contains(option), "{option} in {line}");
    }
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&shm).unwrap());
    assert_eq!(mode & 0o7777, 0o1777);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn sysctls_are_set_in_the_pod_and_nowhere_else() {
    let node = Node::new();
    let mut pod = node.pod();
    let before = ["/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_unprivileged_port_start"].map(read);
    pod.sysctl("kernel.msgmax", "12345")
        .sysctl("net/ipv4/ip_unprivileged_port_start", "77")
        .sysctl("net.ipv4.conf.eth0.forwarding", "1")
        .sysctl("fs.mqueue.msg_max", "33");
    pod.setup();
    let inside = pod.inside(&["net", "ipc"], || {
        [
            "/proc/sys/kernel/msgmax",
            "/proc/sys/net/ipv4/ip_unprivileged_port_start",
            "/proc/sys/net/ipv4/conf/eth0/forwarding",
            "/proc/sys/fs/mqueue/msg_max",
        ]
        .map(read)
    });
    assert_eq!(inside, ["12345", "77", "1", "33"]);
    assert_eq!(["/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_unprivileged_port_start"].map(read), before);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn a_sysctl_of_an_interface_with_a_dot_in_its_name_reaches_that_interface() {
    let node = Node::new();
    for name in ["net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"] {
        let mut pod = node.pod();
        pod.network().interface = "eth0.100".into();
        pod.sysctl(name, "1");
        pod.setup();
        let inside = pod.inside(&["net"], || read("/proc/sys/net/ipv4/conf/eth0.100/forwarding"));
        assert_eq!(inside, "1", "{name}");
        pod.clean();
    }
}

#[test]
fn a_sysctl_that_cannot_be_set_is_named_and_the_pod_is_undone() {
    let node = Node::new();
    for (name, value, kind) in [
        ("net.ipv4.no_such_thing", "1", Kind::NotFound),
        ("net.ipv4.ip_forward", "many", Kind::InvalidArgument),
        ("kernel.core_pattern", "core", Kind::InvalidArgument),
        ("net/../kernel/core_pattern", "core", Kind::InvalidArgument),
    ] {
        let mut pod = node.pod();
        pod.sysctl(name, value);
        let failure = pod.try_setup().unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure:?}");
        let (checked, written) = (format!("check request sysctls[0].name: {name:?}"), format!("set sysctl {name}"));
        let begins = [checked, written].iter().any(|begin| failure.message.starts_with(begin));
        assert!(begins, "{}", failure.message);
        pod.assert_clean();
    }
}

#[test]
fn an_address_that_the_node_does_not_have_is_named_and_the_pod_is_undone() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.network().sources[0] = "10.78.0.1".into();
    let failure = pod.try_setup().unwrap_err();
    assert_eq!((failure.kind(), failure.object.as_str()), (Kind::InvalidArgument, "to 10.77.3.4 from 10.78.0.1"));
    pod.assert_clean();
}

#[test]
fn an_interface_name_that_is_taken_fails_with_the_kernels_answer_and_is_left_alone() {
    let node = Node::new();
    let (one, mut two) = (node.pod(), node.pod());
    one.setup();
    two.network().host_interface = one.request.network.as_ref().unwrap().host_interface.clone();
    two.only_ipv4("10.77.9.9");
    let failure = two.try_setup().unwrap_err();
    assert_eq!(failure.kind(), Kind::AlreadyExists, "{failure:?}");
    two.request.network = None;
    two.assert_clean();
    pods::talk(&one, "10.77.3.4:7000");
    one.clean();
    one.assert_clean();
}
