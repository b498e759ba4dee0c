// SPDX-License-Identifier: Apache-2.0
//! Tests pods that share the network namespace of another pod.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use pods::{Node, Pod, talk};

/// A pod in the network namespace of another one.
fn guest(node: &Node, host: &Pod) -> Pod {
    let mut guest = node.pod();
    guest.request.network = None;
    guest.request.join_net = host.run_dir.join("ns/net").display().to_string();
    guest
}

#[test]
fn a_guest_has_the_addresses_of_its_host_which_keeps_them() {
    let node = Node::new();
    let host = node.pod();
    host.setup();
    let guest = guest(&node, &host);
    guest.setup();
    talk(&guest, "10.77.3.4:7301");
    talk(&guest, "[fd77::304]:7302");
    guest.clean();
    guest.assert_clean();
    talk(&host, "10.77.3.4:7303");
    host.clean();
    host.assert_clean();
}

#[test]
fn a_guest_of_a_pod_that_is_gone_leaves_nothing() {
    let node = Node::new();
    let host = node.pod();
    let guest = guest(&node, &host);
    let failure = guest.try_setup().expect_err("there is no such namespace");
    assert!(failure.message.contains("open namespace") && failure.message.contains("ns/net"), "{}", failure.message);
    guest.clean();
    guest.assert_clean();
}

#[test]
fn a_guest_that_fails_leaves_its_host_alone() {
    let node = Node::new();
    let host = node.pod();
    host.setup();
    let mut guest = guest(&node, &host);
    guest.sysctl("kernel.shm_rmid_forced", "no number");
    guest.try_setup().expect_err("the kernel refuses it");
    talk(&host, "10.77.3.4:7304");
    host.clean();
}

#[test]
fn a_guest_may_change_nothing_of_the_network() {
    let node = Node::new();
    let host = node.pod();
    host.setup();
    let mut guest = guest(&node, &host);
    guest.sysctl("net.ipv4.ip_forward", "1");
    let failure = guest.try_setup().expect_err("it is the host's");
    assert!(failure.message.contains("does not belong to a namespace of the pod"), "{}", failure.message);
    guest.request.sysctls.clear();
    guest.own_user();
    let failure = guest.try_setup().expect_err("another owner");
    assert!(failure.message.contains("user: the pod shares the network namespace"), "{}", failure.message);
    host.clean();
}
