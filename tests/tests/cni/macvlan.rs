// SPDX-License-Identifier: Apache-2.0
//! Pods with a MAC address of their own in the node's LAN: with fixed addresses, and with those of a DHCP server.

use super::frame::{FILE, addresses, is_in_use, list, node_reaches, on_a_cni_node, reaches, server, shell};
use gorae_tests::testing::soon;
use gorae_tests::{Node, cni, place};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program beside the node that ends with the test.
struct Beside(Child);

impl Beside {
    fn start(program: &Path, words: &[&str], log: &Path) -> Beside {
        let log = std::fs::File::create(log).unwrap();
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Beside(command.spawn().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A LAN: what leaves the interface `lan0` comes in at `lan1`, where the router's address is.
fn lan() {
    let run = |words: &str| {
        let status = Command::new("ip").args(words.split(' ')).status().unwrap();
        assert!(status.success(), "ip {words}");
    };
    run("link add lan0 type veth peer name lan1");
    run("address add 10.79.0.1/24 dev lan1");
    run("link set lan0 up");
    run("link set lan1 up");
}

fn macvlan(ipam: &Value) -> String {
    list("lan", "1.0.0", &json!([{"type": "macvlan", "master": "lan0", "mode": "bridge", "ipam": ipam}]))
}

#[test]
fn a_pod_has_the_fixed_address_that_its_network_names() {
    on_a_cni_node(&["macvlan", "static"], async |node, cni| {
        lan();
        let ipam = json!({"type": "static", "addresses": [{"address": "10.79.0.9/24", "gateway": "10.79.0.1"}],
            "routes": [{"dst": "0.0.0.0/0"}]});
        is_in_use(node, cni, FILE, &macvlan(&ipam)).await;
        let pod = node.pod("a").run().await;
        assert_eq!(addresses(&pod).await, ["10.79.0.9"]);
        server(node, &pod, "page").await;
        node_reaches("10.79.0.9", "page").await;
    });
}

/// The two programs that pods with leased addresses need: the plugin's own process, and a server.
fn dhcp(node: &Node) -> (Beside, Beside) {
    let dir = node.directory("dhcp");
    let config = dir.join("udhcpd.conf");
    let text = format!(
        "start 10.79.0.100\nend 10.79.0.110\ninterface lan1\nlease_file {0}/leases\npidfile {0}/pid\n\
         option subnet 255.255.255.0\noption router 10.79.0.1\noption lease 600\n",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(dir.join("leases"), "").unwrap();
    let busybox = place::build().join("busybox-static/bin/busybox");
    let server = Beside::start(&busybox, &["udhcpd", "-f", config.to_str().unwrap()], &dir.join("server.log"));
    let plugin = Path::new(cni::PLUGINS).join("dhcp");
    (server, Beside::start(&plugin, &["daemon"], &dir.join("plugin.log")))
}

#[test]
fn pods_lease_their_addresses_and_give_them_back() {
    on_a_cni_node(&["macvlan", "dhcp"], async |node, cni| {
        lan();
        let beside = dhcp(node);
        soon("the plugin's process listens", async || Path::new("/run/cni/dhcp.sock").exists().then_some(())).await;
        is_in_use(node, cni, FILE, &macvlan(&json!({"type": "dhcp"}))).await;
        let (a, b) = (node.pod("a").run().await, node.pod("b").run().await);
        let (at_a, at_b) = (addresses(&a).await, addresses(&b).await);
        assert!(at_a.len() == 1 && at_a[0].starts_with("10.79.0.1") && at_a != at_b, "{at_a:?} {at_b:?}");
        server(node, &a, "page").await;
        reaches(&shell(&b).await, &at_a, "page").await;
        node_reaches(&at_a[0], "page").await;
        node.kill_and_restart().await;
        for pod in [&a, &b] {
            pod.stop().await;
            pod.remove().await;
        }
        let log = node.directory("dhcp").join("plugin.log");
        soon("both leases are released", async || {
            let said = std::fs::read_to_string(&log).unwrap();
            (said.matches("releasing lease").count() == 2).then_some(())
        })
        .await;
        drop(beside);
        std::fs::remove_file("/run/cni/dhcp.sock").unwrap();
    });
}
