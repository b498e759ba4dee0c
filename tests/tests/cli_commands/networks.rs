// SPDX-License-Identifier: Apache-2.0
//! Networks that people make: who reaches whom, with which addresses, and what is refused.

use crate::gorae::Gorae;
use gorae_tests::testing::{on_a_node_with, soon};
use gorae_tests::{BUSYBOX, Node, on_a_node, web};

/// A web server with a page that says its name.
pub async fn serve(gorae: &Gorae, name: &str, options: &[&str]) {
    let script = format!("mkdir -p /www; echo {name} >/www/index.html; exec httpd -f -h /www");
    let words = [&["run", "-d", "-q", "--name", name], options, &[BUSYBOX, "sh", "-c", &script]].concat();
    gorae.ok(&words).await;
    soon("it serves", async || (fetch(gorae, name, "127.0.0.1").await == Some(name.into())).then_some(())).await;
}

/// What a container gets from a web server, if anything.
pub async fn fetch(gorae: &Gorae, from: &str, host: &str) -> Option<String> {
    let ran = gorae.run(&["exec", from, "timeout", "2", "wget", "-q", "-O", "-", &format!("http://{host}/")]).await;
    (ran.code == 0).then(|| ran.out.trim().to_owned())
}

/// The first address of a container in a network.
pub async fn address(gorae: &Gorae, network: &str, container: &str) -> String {
    let networks = gorae.json_of(&["network", "inspect", network]).await;
    let members = networks[0]["Containers"].as_object().expect("members").values().cloned().collect::<Vec<_>>();
    let member = members.iter().find(|member| member["Name"] == container).expect("it is in the network");
    let address = member["IPv4Address"].as_str().expect("an address").split('/').next().expect("text");
    address.to_owned()
}

/// Removes containers, then networks.
pub async fn clear(gorae: &Gorae, containers: &[&str], networks: &[&str]) {
    gorae.ok(&[&["rm", "-f"], containers].concat()).await;
    if !networks.is_empty() {
        gorae.ok(&[&["network", "rm"], networks].concat()).await;
    }
    gorae.leaves_nothing().await;
}

#[test]
fn members_reach_each_other_and_nobody_else() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for network in ["one", "two"] {
            assert_eq!(gorae.ok(&["network", "create", network]).await.len(), 64);
        }
        serve(&gorae, "a", &["--network", "one"]).await;
        serve(&gorae, "b", &["--network", "one"]).await;
        serve(&gorae, "c", &["--network", "two"]).await;
        serve(&gorae, "d", &[]).await;
        let (a, c) = (address(&gorae, "one", "a").await, address(&gorae, "two", "c").await);
        assert_eq!(fetch(&gorae, "b", &a).await.as_deref(), Some("a"));
        assert_eq!(fetch(&gorae, "b", "a").await.as_deref(), Some("a"), "by name");
        assert_eq!(fetch(&gorae, "c", &a).await, None, "from another network");
        assert_eq!(fetch(&gorae, "d", &a).await, None, "from the default network");
        let d = default_address(&gorae, "d").await;
        assert_eq!(fetch(&gorae, "a", &d).await, None, "to the default network");
        for address in [&a, &c, &d] {
            assert_eq!(web::get(&format!("{address}:80"), "/").await.expect("from the node").0, 200);
        }
        clear(&gorae, &["a", "b", "c", "d"], &["one", "two"]).await;
    });
}

/// The address of a container in the default network.
async fn default_address(gorae: &Gorae, name: &str) -> String {
    let line = gorae.ok(&["exec", name, "ip", "-4", "-o", "addr", "show", "eth0"]).await;
    let address = line.split_whitespace().skip_while(|word| *word != "inet").nth(1).expect("an address");
    address.split('/').next().expect("text").to_owned()
}

#[test]
fn a_published_port_leads_into_a_network_and_an_internal_one_has_no_way_out() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "open"]).await;
        gorae.ok(&["network", "create", "--internal", "closed"]).await;
        serve(&gorae, "web", &["--network", "open", "-p", "127.0.0.1:18090:80"]).await;
        assert_eq!(web::get_soon("127.0.0.1:18090", "/").await, (200, "web\n".to_owned()));
        serve(&gorae, "db", &["--network", "closed"]).await;
        let routes = gorae.ok(&["exec", "db", "ip", "route"]).await;
        assert!(!routes.contains("default"), "{routes}");
        let db = address(&gorae, "closed", "db").await;
        assert_eq!(web::get(&format!("{db}:80"), "/").await.expect("the node reaches it").0, 200);
        let refused = gorae.run(&["run", "-d", "--network", "closed", "-p", "18091:80", BUSYBOX, "true"]).await;
        assert!(refused.code == 125 && refused.err.contains("internal"), "{}", refused.err);
        node.kill_and_restart().await;
        assert_eq!(web::get_soon("127.0.0.1:18090", "/").await.0, 200);
        clear(&gorae, &["web", "db"], &["open", "closed"]).await;
    });
}

#[test]
fn addresses_of_both_families_are_chosen_or_given() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let subnets = ["--subnet", "10.199.7.0/24", "--subnet", "fd07::/64", "--ip-range", "10.199.7.128/25"];
        gorae.ok(&[&["network", "create", "--ipv6"], &subnets[..], &["lan"]].concat()).await;
        let given = ["--network", "lan", "--ip", "10.199.7.9", "--ip6", "fd07::9"];
        serve(&gorae, "a", &given).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        let out = gorae.ok(&["exec", "a", "ip", "-o", "addr", "show", "eth0"]).await;
        assert!(out.contains("10.199.7.9/24") && out.contains("fd07::9/64"), "{out}");
        let chosen = address(&gorae, "lan", "b").await;
        let last: u8 = chosen.strip_prefix("10.199.7.").and_then(|last| last.parse().ok()).expect("in the subnet");
        assert!(last >= 128, "{chosen} is in the range");
        assert_eq!(fetch(&gorae, "b", "[fd07::9]").await.as_deref(), Some("a"));
        for (words, expected) in [
            (&["--ip", "10.199.7.9"][..], "10.199.7.9"),
            (&["--ip", "10.199.8.9"], "10.199.8.9"),
            (&["--ip", "10.199.7.1"], "10.199.7.1"),
        ] {
            let ran = gorae.run(&[&["run", "-d", "--network", "lan"], words, &[BUSYBOX, "true"]].concat()).await;
            assert!(ran.code == 125 && ran.err.contains(expected), "{words:?}: {}", ran.err);
        }
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}

#[test]
fn what_makes_no_sense_is_refused_with_its_name() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--subnet", "10.199.8.0/24", "lan"]).await;
        let mut odd = Vec::new();
        for (words, expected) in [
            (&["create", "lan"][..], "already exists"),
            (&["create", "bridge"], "is reserved"),
            (&["create", "--subnet", "10.199.8.128/25", "other"], "10.199.8.0/24"),
            (&["create", "--subnet", "10.199.9.7/24", "other"], "10.199.9.0/24"),
            (&["create", "--subnet", "127.0.0.0/8", "other"], "does not consist of addresses"),
            (&["create", "-d", "overlay", "other"], "is not supported"),
            (&["create", "-o", "no.such=1", "other"], "is not known"),
            (&["create", &"x".repeat(300)], "at most 63"),
            (&["create", "a/b"], "begins with a letter"),
            (&["rm", "absent"], "no network \"absent\""),
            (&["rm", "host"], "always there"),
        ] {
            let ran = gorae.run(&[&["network"], words].concat()).await;
            if ran.code == 0 || !ran.err.contains(expected) {
                odd.push(format!("{words:?}: {} {}", ran.code, ran.err));
            }
        }
        assert!(odd.is_empty(), "{}", odd.join(""));
        let absent = gorae.run(&["run", "-d", "--network", "absent", BUSYBOX, "true"]).await;
        assert!(absent.code == 125 && absent.err.contains("absent"), "{}", absent.err);
        serve(&gorae, "a", &["--network", "lan"]).await;
        let in_use = gorae.run(&["network", "rm", "lan"]).await;
        assert!(in_use.code != 0 && in_use.err.contains("in use by pod a ("), "{}", in_use.err);
        clear(&gorae, &["a"], &["lan"]).await;
    });
}

/// Makes the built-in network choose its subnet anew.
async fn as_if_it_never_had_a_pod(node: &Node) {
    node.terminate().expect("it ends");
    std::fs::remove_file(node.daemon().root().join("network")).expect("its record");
    node.restart().await;
}

#[test]
fn no_two_networks_have_one_subnet_though_neither_shows_yet() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        // Of what nobody has, the built-in network chooses 10.64.0.0/20.
        as_if_it_never_had_a_pod(node).await;
        gorae.ok(&["network", "create", "--subnet", "10.64.0.0/16", "early"]).await;
        node.kill_and_restart().await;
        serve(&gorae, "a", &[]).await;
        assert!(!default_address(&gorae, "a").await.starts_with("10.64."), "{}", default_address(&gorae, "a").await);
        serve(&gorae, "b", &["--network", "early"]).await;
        assert!(address(&gorae, "early", "b").await.starts_with("10.64."));
        clear(&gorae, &["a", "b"], &["early"]).await;
        as_if_it_never_had_a_pod(node).await;
        node.warm_up().await.expect("as before the test");
    });
    on_a_node_with("[network]\nsubnet = \"10.199.30.0/24\"\n", async |node| {
        let gorae = Gorae::of(node);
        let refused = gorae.run(&["network", "create", "--subnet", "10.199.0.0/16", "lan"]).await;
        assert!(refused.err.contains("10.199.30.0/24 of the built-in network"), "{}", refused.err);
    });
}

#[test]
fn containers_are_listed_with_their_networks_and_shown_as_docker_does() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--subnet", "10.199.31.0/24", "--subnet", "fd31::/64", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan", "--network-alias", "x", "--ip", "10.199.31.7", "--ip6", "fd31::7"])
            .await;
        serve(&gorae, "b", &[]).await;
        let names = async |filter: &str| {
            let rows = gorae.json(&["ps", "--filter", filter]).await;
            let rows = rows.as_array().expect("a list").clone();
            rows.iter().map(|row| format!("{} {}", row["name"], row["networks"])).collect::<Vec<_>>()
        };
        assert_eq!(names("network=lan").await, ["\"a\" [\"lan\"]"]);
        assert_eq!(names("network=bridge").await, ["\"b\" [\"bridge\"]"]);
        assert_eq!(names("network=absent").await, [""; 0]);
        let shown = gorae.json_of(&["inspect", "a"]).await[0]["NetworkSettings"]["Networks"]["lan"].clone();
        for (key, expected) in [
            ("IPAddress", "10.199.31.7"),
            ("GlobalIPv6Address", "fd31::7"),
            ("Gateway", "10.199.31.1"),
            ("IPv6Gateway", "fd31::1"),
            ("MacAddress", "02:67:0a:c7:1f:07"),
        ] {
            assert_eq!(shown[key], expected, "{key}: {shown}");
        }
        assert!(shown["Aliases"].as_array().expect("names").iter().any(|name| name == "x"), "{shown}");
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}

#[test]
fn networks_are_listed_and_pruned() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "--label", "keep=1", "kept"]).await;
        gorae.ok(&["network", "create", "unused"]).await;
        let list = gorae.ok(&["network", "ls"]).await;
        for name in ["bridge", "host", "none", "kept", "unused"] {
            assert!(list.lines().any(|line| line.split_whitespace().nth(1) == Some(name)), "{name}: {list}");
        }
        let pruned = gorae.ok(&["network", "prune", "-f", "--filter", "label=keep"]).await;
        assert!(pruned.contains("kept") && !pruned.contains("unused"), "{pruned}");
        serve(&gorae, "a", &["--network", "unused"]).await;
        assert!(!gorae.ok(&["network", "prune", "-f"]).await.contains("unused"), "it is used");
        gorae.ok(&["rm", "-f", "a"]).await;
        assert!(gorae.ok(&["network", "prune", "-f"]).await.contains("unused"));
        gorae.leaves_nothing().await;
    });
}

#[test]
fn what_others_remove_comes_back() {
    on_a_node(async |node: &Node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "a", &["--network", "lan"]).await;
        serve(&gorae, "b", &["--network", "lan"]).await;
        let lan = gorae.json_of(&["network", "inspect", "lan"]).await;
        let bridge = lan[0]["Bridge"].as_str().expect("its name");
        let gone = std::process::Command::new("ip").args(["link", "del", bridge]).status().expect("iproute2");
        assert!(gone.success());
        node.kill_and_restart().await;
        soon("the bridge is back", async || (fetch(&gorae, "b", "a").await.as_deref() == Some("a")).then_some(()))
            .await;
        clear(&gorae, &["a", "b"], &["lan"]).await;
    });
}
