// SPDX-License-Identifier: Apache-2.0
//! `--network none` and `--network container:NAME`.

use crate::gorae::Gorae;
use crate::networks::{clear, fetch, serve};
use gorae_tests::{BUSYBOX, on_a_node};

#[test]
fn a_container_without_a_network_has_a_loopback_interface() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "ip -o link; ip route; ping -c 1 -w 2 127.0.0.1 >/dev/null && echo up; cat /etc/hosts";
        let out = gorae.ok(&["run", "-q", "--rm", "--network", "none", BUSYBOX, "sh", "-c", script]).await;
        assert!(out.contains(": lo:") && !out.contains("eth0") && !out.contains("default"), "{out}");
        assert!(out.contains("up\n") && out.contains("127.0.0.1\tlocalhost"), "{out}");
        let ports = gorae.run(&["run", "-d", "--network", "none", "-p", "18099:80", BUSYBOX, "true"]).await;
        assert!(
            ports.code != 0 && ports.err.contains("-p is not possible with --network none"),
            "{} {}",
            ports.code,
            ports.err
        );
        gorae.ok(&["network", "create", "lan"]).await;
        gorae.ok(&["run", "-d", "-q", "--name", "alone", "--network", "none", BUSYBOX, "sleep", "100"]).await;
        let joined = gorae.run(&["network", "connect", "lan", "alone"]).await;
        assert!(joined.code != 0 && joined.err.contains("without a network"), "{}", joined.err);
        clear(&gorae, &["alone"], &["lan"]).await;
    });
}

#[test]
fn two_containers_share_one_network() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["network", "create", "lan"]).await;
        serve(&gorae, "host", &["--network", "lan", "-h", "box", "--add-host", "printer:192.0.2.9"]).await;
        gorae
            .ok(&["run", "-d", "-q", "--name", "guest", "--network", "container:host", BUSYBOX, "sleep", "1000"])
            .await;
        assert_eq!(fetch(&gorae, "guest", "127.0.0.1").await.as_deref(), Some("host"));
        assert_eq!(fetch(&gorae, "guest", "host").await.as_deref(), Some("host"), "by name");
        assert_eq!(gorae.ok(&["exec", "guest", "hostname"]).await, "box");
        assert!(gorae.ok(&["exec", "guest", "cat", "/etc/hosts"]).await.contains("printer"));
        gorae.ok(&["rm", "-f", "guest"]).await;
        serve(&gorae, "other", &["--network", "lan"]).await;
        assert_eq!(fetch(&gorae, "other", "host").await.as_deref(), Some("host"), "it kept its addresses");
        gorae
            .ok(&["run", "-d", "-q", "--name", "guest", "--network", "container:host", BUSYBOX, "sleep", "1000"])
            .await;
        node.kill_and_restart().await;
        gorae.ok(&["rm", "-f", "host"]).await;
        assert!(!gorae.ok(&["exec", "guest", "ip", "-o", "link"]).await.contains("eth0"), "its host is gone");
        for (options, expected) in [
            (&["-p", "18098:80"][..], "-p is not possible"),
            (&["-h", "x"], "--hostname is not possible"),
            (&["--add-host", "a:192.0.2.1"], "--add-host is not possible"),
            (&["--dns", "192.0.2.1"], "--dns is not possible"),
        ] {
            let words = [&["run", "-d", "--network", "container:guest"], options, &[BUSYBOX, "true"]].concat();
            let ran = gorae.run(&words).await;
            assert!(ran.code != 0 && ran.err.contains(expected), "{options:?}: {}", ran.err);
        }
        clear(&gorae, &["guest", "other"], &["lan"]).await;
    });
}
