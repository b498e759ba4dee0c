// SPDX-License-Identifier: Apache-2.0
//! Containers that are connected to networks, and disconnected, while they run and while they do not.

use crate::gorae::Gorae;
use crate::networks::{address, clear, fetch, serve};
use gorae_tests::{BUSYBOX, Node, on_a_node, web};
use std::path::{Path, PathBuf};

#[test]
fn a_running_container_joins_and_leaves_networks() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for network in ["one", "two"] {
            gorae.ok(&["network", "create", network]).await;
        }
        serve(&gorae, "a", &["--network", "one"]).await;
        serve(&gorae, "b", &["--network", "two"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await, None);
        gorae.ok(&["network", "connect", "--alias", "guest", "two", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"));
        assert_eq!(fetch(&gorae, "b", "guest").await.as_deref(), Some("a"));
        let again = gorae.run(&["network", "connect", "two", "a"]).await;
        assert!(again.code != 0 && again.err.contains("two"), "{}", again.err);
        node.kill_and_restart().await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "after a restart of the daemon");
        gorae.ok(&["network", "disconnect", "two", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await, None);
        assert!(!gorae.ok(&["exec", "a", "ip", "-o", "link"]).await.contains("eth1"));
        gorae.ok(&["network", "disconnect", "one", "a"]).await;
        assert!(!gorae.ok(&["exec", "a", "ip", "-o", "link"]).await.contains("eth"));
        let again = gorae.run(&["network", "disconnect", "one", "a"]).await;
        assert!(again.code != 0 && again.err.contains("is not in network one"), "{}", again.err);
        gorae.ok(&["network", "disconnect", "-f", "one", "a"]).await;
        gorae.ok(&["stop", "-t", "0", "a"]).await;
        gorae.ok(&["start", "a"]).await;
        assert!(!gorae.ok(&["exec", "a", "ip", "-o", "link"]).await.contains("eth"), "it is in no network");
        gorae.ok(&["network", "connect", "two", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "by name, in its first network");
        clear(&gorae, &["a", "b"], &["one", "two"]).await;
    });
}

/// Writes into the record of a pod that is up that its hosts file is still to lose an address.
fn due(ready: &std::path::Path, address: &str) {
    let bytes = std::fs::read(ready).expect("record");
    let body = &bytes[bytes.iter().position(|byte| *byte == b'\n').expect("header") + 1..];
    let mut up: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    up["hosts_due"] = serde_json::json!([address]);
    let body = serde_json::to_vec(&up).expect("JSON");
    std::fs::write(ready, gorae_kernel::checked::encode("ready", 1, &body)).expect("writable");
}

#[test]
fn the_hosts_file_follows_the_addresses_of_a_running_container() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--subnet", "10.199.25.0/24", "--subnet", "fd25::/64", "lan"]).await;
        serve(&gorae, "a", &["--hostname", "box"]).await;
        let guest = ["run", "-d", "-q", "--name", "guest", "--network", "container:a", BUSYBOX, "sleep", "1000"];
        gorae.ok(&guest).await;
        let hosts = async |name: &str| gorae.ok(&["exec", name, "cat", "/etc/hosts"]).await;
        gorae.ok(&["exec", "a", "sh", "-c", "echo '192.0.2.9 mine' >>/etc/hosts"]).await;
        let before = hosts("a").await;
        gorae.ok(&["network", "connect", "--ip", "10.199.25.7", "--ip6", "fd25::7", "lan", "a"]).await;
        for name in ["a", "guest"] {
            let now = hosts(name).await;
            assert!(now.contains("10.199.25.7\tbox\nfd25::7\tbox"), "{name}: {now}");
        }
        assert!(hosts("a").await.contains("192.0.2.9 mine"), "what it added stays");
        node.kill_and_restart().await;
        gorae.ok(&["network", "disconnect", "lan", "a"]).await;
        assert_eq!(hosts("a").await, before);
        assert!(!hosts("guest").await.contains("10.199.25.7"));
        // A daemon that was killed before the file followed.
        let listed = gorae.json(&["ps", "--filter", "name=a"]).await;
        let id = listed.as_array().expect("a list").iter().find(|row| row["name"] == "a").expect("a")["podId"].clone();
        let id = id.as_str().expect("an id");
        node.daemon().kill();
        due(&node.daemon().state().join("pods").join(id).join("ready"), "10.199.25.7");
        let file = node.daemon().root().join("pods").join(id).join("hosts");
        let text = std::fs::read_to_string(&file).expect("hosts file");
        std::fs::write(&file, format!("{text}10.199.25.7\tbox\n")).expect("writable");
        node.restart().await;
        gorae_tests::testing::soon("the line is gone", async || (hosts("a").await == before).then_some(())).await;
        clear(&gorae, &["guest", "a"], &["lan"]).await;
    });
}

#[test]
fn the_default_route_follows_the_priorities() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for (network, subnet) in [("alpha", "10.199.20.0/24"), ("beta", "10.199.21.0/24")] {
            gorae.ok(&["network", "create", "--subnet", subnet, network]).await;
        }
        serve(&gorae, "a", &["--network", "beta"]).await;
        let route = async || gorae.ok(&["exec", "a", "sh", "-c", "ip route | grep default"]).await;
        assert!(route().await.contains("10.199.21.1"), "{}", route().await);
        gorae.ok(&["network", "connect", "alpha", "a"]).await;
        assert!(route().await.contains("10.199.20.1"), "the first by name: {}", route().await);
        gorae.ok(&["network", "disconnect", "alpha", "a"]).await;
        assert!(route().await.contains("10.199.21.1"), "{}", route().await);
        gorae.ok(&["network", "connect", "--gw-priority", "-1", "alpha", "a"]).await;
        assert!(route().await.contains("10.199.21.1"), "{}", route().await);
        clear(&gorae, &["a"], &["alpha", "beta"]).await;
    });
}

#[test]
fn a_container_of_the_default_network_can_join_one_of_people() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &[]).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        let default = async || gorae.ok(&["exec", "a", "sh", "-c", "ip route | grep default"]).await;
        let before = default().await;
        gorae.ok(&["network", "connect", "lan", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "its resolver is the network's now");
        assert_eq!(fetch(&gorae, "b", "a").await.as_deref(), Some("a"), "by its name");
        assert_eq!(default().await, before);
        gorae.ok(&["stop", "-t", "0", "a"]).await;
        gorae.ok(&["start", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "it is in both again");
        gorae.ok(&["network", "disconnect", "lan", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await, None);
        gorae.ok(&["stop", "-t", "0", "a"]).await;
        gorae.ok(&["start", "a"]).await;
        assert!(default().await.contains("default via"), "it is in its own again");
        let refused = gorae.run(&["network", "disconnect", "bridge", "a"]).await;
        assert!(refused.code != 0 && refused.err.contains("run it again with --network"), "{}", refused.err);
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}

/// Where the daemon keeps what it has of a container's pod.
async fn pod_root(node: &Node, gorae: &Gorae, name: &str) -> PathBuf {
    let listed = gorae.json(&["ps", "-a"]).await;
    let row = listed.as_array().expect("a list").iter().find(|row| row["name"] == name).expect("it is listed").clone();
    node.daemon().root().join("pods").join(row["podId"].as_str().expect("an id"))
}

#[test]
fn a_first_network_that_a_killed_daemon_left_unsaid_has_names() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &[]).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        let root = pod_root(node, &gorae, "a").await;
        let before = std::fs::read(root.join("resolv.conf")).expect("its resolver");
        gorae.ok(&["network", "connect", "lan", "a"]).await;
        // As after a kill between the place and the settings: the place is recorded, and nothing says so beside it.
        node.daemon().kill();
        std::fs::remove_file(root.join("settings")).expect("removed");
        node.restart().await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "it asks the name server, and is answered");
        // As after a kill before the resolver was set.
        node.daemon().kill();
        std::fs::write(root.join("resolv.conf"), &before).expect("written");
        node.restart().await;
        gorae.ok(&["network", "connect", "lan", "a"]).await;
        assert_eq!(fetch(&gorae, "a", "b").await.as_deref(), Some("b"), "the retry finishes it");
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}

#[test]
fn a_connection_that_is_undone_leaves_the_resolver_as_it_was() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &[]).await;
        let root = pod_root(node, &gorae, "a").await;
        let before = std::fs::read_to_string(root.join("resolv.conf")).expect("its resolver");
        // No record can take the place of a directory that is not empty.
        std::fs::create_dir_all(root.join("settings/x")).expect("made");
        let failed = gorae.run(&["network", "connect", "lan", "a"]).await;
        assert!(failed.code != 0 && failed.err.contains("settings"), "{}", failed.err);
        assert_eq!(gorae.ok(&["exec", "a", "cat", "/etc/resolv.conf"]).await.trim(), before.trim());
        assert!(!gorae.ok(&["exec", "a", "ip", "-o", "link"]).await.contains("eth1"));
        std::fs::remove_dir_all(root.join("settings")).expect("removed");
        clear(&gorae, &["a"], &["lan"]).await;
    });
}

/// Writes into the record of a pod's places that it is losing the one in a network, as before a kill.
fn leaving(root: &Path, pod: &str, network: &str) {
    let path = root.join("networks/members").join(pod);
    let bytes = std::fs::read(&path).expect("record");
    let body = &bytes[bytes.iter().position(|byte| *byte == b'\n').expect("header") + 1..];
    let mut record: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let places = record["places"].as_array_mut().expect("places");
    places.iter_mut().find(|place| place["network"] == network).expect("it is there")["phase"] = "leaving".into();
    let body = serde_json::to_vec(&record).expect("JSON");
    std::fs::write(&path, gorae_kernel::checked::encode("network-member", 1, &body)).expect("written");
}

#[test]
fn published_ports_leave_a_place_that_a_killed_daemon_was_taking_away() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--subnet", "10.199.26.0/24", "alpha"]).await;
        gorae.ok(&["network", "create", "beta"]).await;
        serve(&gorae, "a", &["--network", "alpha", "--network", "beta", "-p", "127.0.0.1:18097:80"]).await;
        let freed = address(&gorae, "alpha", "a").await;
        let pod = pod_root(node, &gorae, "a").await;
        node.daemon().kill();
        let pod = pod.file_name().and_then(|name| name.to_str()).expect("an id");
        leaving(&node.daemon().root(), pod, "alpha");
        node.restart().await;
        serve(&gorae, "b", &["--network", "alpha", "--ip", &freed]).await;
        assert_eq!(web::get_soon("127.0.0.1:18097", "/").await, (200, "a\n".to_owned()), "by way of beta");
        gorae.ok(&["network", "disconnect", "alpha", "a"]).await;
        assert_eq!(web::get_soon("127.0.0.1:18097", "/").await, (200, "a\n".to_owned()));
        clear(&gorae, &["a", "b"], &["alpha", "beta"]).await;
    });
}

#[test]
fn a_container_cannot_keep_itself_in_a_network() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for network in ["alpha", "beta"] {
            gorae.ok(&["network", "create", network]).await;
        }
        serve(&gorae, "a", &["--network", "alpha", "--network", "beta", "--cap-add", "NET_ADMIN"]).await;
        // Then no default route can lead into beta.
        gorae.ok(&["exec", "a", "ip", "link", "set", "eth1", "down"]).await;
        gorae.ok(&["network", "disconnect", "alpha", "a"]).await;
        assert!(!gorae.ok(&["exec", "a", "ip", "-o", "link"]).await.contains("eth0"));
        gorae.ok(&["network", "rm", "alpha"]).await;
        clear(&gorae, &["a"], &["beta"]).await;
    });
}

#[test]
fn a_forced_disconnect_still_says_what_fails() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan"]).await;
        let guest = ["run", "-d", "-q", "--name", "guest", "--network", "container:a", BUSYBOX, "sleep", "1000"];
        gorae.ok(&guest).await;
        let failed = gorae.run(&["network", "disconnect", "-f", "lan", "guest"]).await;
        assert!(failed.code != 0 && failed.err.contains("network of another pod"), "{}", failed.err);
        gorae.ok(&["network", "disconnect", "-f", "no-such-network", "a"]).await;
        gorae.ok(&["network", "disconnect", "-f", "lan", "no-such-container"]).await;
        clear(&gorae, &["guest", "a"], &["lan"]).await;
    });
}

#[test]
fn a_container_that_is_started_again_is_in_its_networks() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--subnet", "10.199.22.0/24", "one"]).await;
        gorae.ok(&["network", "create", "two"]).await;
        serve(&gorae, "a", &["--network", "one", "--ip", "10.199.22.50", "--network-alias", "x"]).await;
        serve(&gorae, "b", &["--network", "one"]).await;
        gorae.ok(&["network", "connect", "two", "a"]).await;
        gorae.ok(&["stop", "-t", "0", "a"]).await;
        gorae.ok(&["start", "a"]).await;
        assert_eq!(address(&gorae, "one", "a").await, "10.199.22.50");
        gorae_tests::testing::soon("it serves", async || {
            (fetch(&gorae, "b", "x").await.as_deref() == Some("a")).then_some(())
        })
        .await;
        assert!(!address(&gorae, "two", "a").await.is_empty());
        clear(&gorae, &["a", "b"], &["one", "two"]).await;
    });
}

#[test]
fn published_ports_lead_to_where_the_default_route_is() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let id = gorae.ok(&["network", "create", "--subnet", "10.199.24.0/24", "beta"]).await;
        gorae.ok(&["network", "create", "alpha"]).await;
        serve(&gorae, "a", &["--network", &id[..12], "-p", "127.0.0.1:18095:80"]).await;
        assert_eq!(web::get_soon("127.0.0.1:18095", "/").await.0, 200);
        gorae.ok(&["network", "connect", "alpha", "a"]).await;
        assert_eq!(web::get_soon("127.0.0.1:18095", "/").await.0, 200, "by way of alpha");
        let freed = address(&gorae, "beta", "a").await;
        gorae.ok(&["network", "disconnect", "beta", "a"]).await;
        serve(&gorae, "b", &["--network", "beta", "--ip", &freed]).await;
        assert_eq!(web::get_soon("127.0.0.1:18095", "/").await, (200, "a\n".to_owned()));
        node.kill_and_restart().await;
        assert_eq!(web::get_soon("127.0.0.1:18095", "/").await, (200, "a\n".to_owned()));
        gorae.ok(&["network", "disconnect", "alpha", "a"]).await;
        assert!(web::get("127.0.0.1:18095", "/").await.is_err(), "it is in no network");
        clear(&gorae, &["a", "b"], &["alpha", "beta"]).await;
    });
}
