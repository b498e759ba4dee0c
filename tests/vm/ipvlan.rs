// SPDX-License-Identifier: Apache-2.0
//! CNI plugins whose kinds of interfaces few kernels without modules have: ipvlan and vrf. `make test-vm` runs it on a machine
//! that has both.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gorae_tests::testing::soon;
use gorae_tests::{Cni, Node, Pod, TINY, cni, on_a_node, web};
use serde_json::{Value, json};
use std::process::Command;

/// Runs a test in a network of these plugins, once it is in use.
fn on_a_node_in(programs: &[&str], plugins: &Value, body: impl AsyncFnOnce(&Node)) {
    on_a_node(async |node| {
        let cni = Cni::install(programs);
        lan();
        let list = json!({"name": "lan", "cniVersion": "1.0.0", "plugins": plugins});
        cni.configure("10-lan.conflist", &list.to_string());
        soon("it is in use", async || node.daemon().log().contains("the CNI network is ready").then_some(())).await;
        body(node).await;
        node.sweep().await.unwrap();
        assert_eq!((cni::kept().len(), cni::pins().len()), (0, 0), "{:?} {:?}", cni::kept(), cni::pins());
        drop(cni);
        std::fs::remove_file(node.daemon().root().join("cni-seen")).unwrap();
    });
}

/// A LAN: what leaves the interface `lan0` comes in at `lan1`, where the router's address is.
fn lan() {
    for words in [
        "link add lan0 type veth peer name lan1",
        "address add 10.79.0.1/24 dev lan1",
        "link set lan0 up",
        "link set lan1 up",
    ] {
        let status = Command::new("ip").args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    }
}

async fn serve(node: &Node, pod: &Pod) {
    let www = node.directory("www");
    std::fs::write(www.join("index.html"), "page").unwrap();
    pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www").start().await;
}

fn host_local() -> Value {
    json!({"type": "host-local", "subnet": "10.79.0.0/24", "rangeStart": "10.79.0.100", "gateway": "10.79.0.1"})
}

#[test]
fn pods_share_the_mac_address_of_the_nodes_interface() {
    let plugins = json!([{"type": "ipvlan", "master": "lan0", "mode": "l2", "ipam": host_local()}]);
    on_a_node_in(&["ipvlan", "host-local"], &plugins, async |node| {
        let (a, b) = (node.pod("a").run().await, node.pod("b").run().await);
        serve(node, &a).await;
        let at = a.address().await;
        assert!(at.starts_with("10.79.0.1"), "{at}");
        assert_eq!(web::get_soon(&format!("{at}:80"), "/").await, (200, "page".into()));
        let shell = b.container("c").script("sleep 1000").start().await;
        assert_eq!(shell.sh(&format!("wget -q -O - http://{at}/")).await.stdout, "page");
        node.kill_and_restart().await;
        assert_eq!(a.address().await, at);
    });
}

#[test]
fn a_pods_interface_can_be_in_a_routing_table_of_its_own() {
    let plugins = json!([{"type": "ptp", "ipam": host_local()}, {"type": "vrf", "vrfname": "blue", "table": 200}]);
    on_a_node_in(&["ptp", "host-local", "vrf"], &plugins, async |node| {
        let pod = node.pod("a").run().await;
        let shell = pod.container("c").script("sleep 1000").start().await;
        let master = shell.sh("readlink /sys/class/net/eth0/master").await.stdout;
        assert!(master.trim_end().ends_with("/blue"), "{master}");
        node.kill_and_restart().await;
        pod.stop().await;
    });
}
