// SPDX-License-Identifier: Apache-2.0
//! What others remove comes back, and a daemon that was killed leaves nothing half done.

use super::stage::{as_node, call, default_routes, end, ips, netns, network, open, ours, pod, serve, sh, wish};
use gorae_user_networks::{Besides, ErrorKind};
use std::path::Path;

/// Waits for the bridge's ports to forward again.
fn reaches(from: &str, to: std::net::IpAddr) -> bool {
    (0..10).any(|_| call(from, to, 80).is_some())
}

#[test]
fn bridge_table_and_ports_that_others_remove_come_back() {
    as_node("repair::bridge_table_and_ports_that_others_remove_come_back", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "front", 61).await;
        network(&networks, "back", 62).await;
        let a = pod(&networks, "a", &[wish("front")]).await.remove(0);
        let b = pod(&networks, "b", &[wish("front")]).await.remove(0);
        let c = pod(&networks, "c", &[wish("back")]).await.remove(0);
        ["a", "b", "c", "outside"].iter().for_each(|name| serve(name, 80));
        let bridge = &networks.find("front").expect("made").network.bridge;
        for breakage in [
            format!("ip link del {bridge}"),
            "nft flush ruleset".into(),
            format!("ip addr flush dev {bridge}"),
            format!("ip link set {} nomaster", b.host_interface),
            format!("ip link set {bridge} down"),
            "nft flush chain inet $(nft list tables | grep -o 'gorae.*') forward".into(),
        ] {
            sh(&breakage);
            networks.reconcile().await.expect("repaired");
            assert_eq!(networks.degraded(), None);
            for family in 0..2 {
                assert!(reaches("a", ips(&b)[family]), "{breakage}");
                assert!(
                    call("a", ["192.0.2.1", "fd00:2::1"][family].parse().expect("address"), 80).is_some(),
                    "{breakage}"
                );
                assert_eq!(call("c", ips(&a)[family], 80), None, "{breakage}");
                assert_eq!(call("a", ips(&c)[family], 80), None, "{breakage}");
            }
        }
        let before = ours();
        networks.reconcile().await.expect("nothing to do");
        assert_eq!(ours(), before);
    });
}

#[test]
fn the_next_daemon_takes_over_what_lives_and_removes_what_is_gone() {
    as_node("repair::the_next_daemon_takes_over_what_lives_and_removes_what_is_gone", async |root| {
        let before = open(root, &[]).await;
        network(&before, "front", 63).await;
        network(&before, "back", 64).await;
        pod(&before, "a", &[wish("front")]).await;
        let b = pod(&before, "b", &[wish("front")]).await.remove(0);
        pod(&before, "gone", &[wish("back")]).await;
        serve("b", 80);
        drop(before);
        sh("nft flush ruleset");
        let after = open(root, &["a", "b"]).await;
        assert_eq!((after.degraded(), after.memberships("gone").len()), (None, 0));
        assert!(call("a", ips(&b)[0], 80).is_some());
        assert!(!sh("ip -n gone -o link").contains("eth"), "its interface is gone");
        assert_eq!(sh("ip -o link show type bridge").lines().count(), 1, "and so is its network's bridge");
        assert!(after.remove("back").await.is_ok());
        end(&after, "a").await;
        end(&after, "b").await;
        assert_eq!(ours(), "");
        drop(after);
        let last = open(root, &["a"]).await;
        assert_eq!((last.list().len(), ours().as_str()), (1, ""));
    });
}

/// Writes into a record how far the daemon was with a place when it was killed.
fn cut_off(root: &Path, pod: &str, network: &str, phase: &str) {
    let file = root.join("networks/members").join(pod);
    let bytes = std::fs::read(&file).expect("record");
    let body = &bytes[bytes.iter().position(|byte| *byte == b'\n').expect("header") + 1..];
    let text = String::from_utf8(body.to_vec()).expect("text");
    let (start, rest) = text.split_once(&format!("\"network\":\"{network}\"")).expect("the place");
    let body = format!("{start}\"network\":\"{network}\"{}", rest.replacen("\"member\"", &format!("\"{phase}\""), 1));
    std::fs::write(file, gorae_kernel::checked::encode("network-member", 1, body.as_bytes())).expect("writable");
}

#[test]
fn a_change_that_was_cut_off_is_undone_and_the_way_out_is_right() {
    as_node("repair::a_change_that_was_cut_off_is_undone_and_the_way_out_is_right", async |root| {
        for phase in ["joining", "leaving"] {
            let networks = open(root, &["pod"]).await;
            if networks.list().is_empty() {
                network(&networks, "m", 65).await;
                network(&networks, "a", 66).await;
                pod(&networks, "pod", &[wish("m")]).await;
            }
            networks.connect("pod", Some(&netns("pod")), &wish("a"), &[], Besides::Nothing).await.expect("connected");
            assert_eq!(default_routes("pod"), "10.66.0.1 fd00:66::1");
            drop(networks);
            cut_off(root, "pod", "a", phase);
            let after = open(root, &["pod"]).await;
            assert_eq!((after.memberships("pod").len(), after.degraded()), (1, None), "{phase}");
            assert!(!sh("ip -n pod -o link").contains("eth1"), "{phase}");
            assert_eq!(default_routes("pod"), "10.65.0.1 fd00:65::1", "{phase}");
            assert_eq!(sh("ip -o link show type bridge").lines().count(), 1, "{phase}");
        }
    });
}

#[test]
fn a_daemon_that_was_killed_before_the_shim_ran_can_begin_again() {
    as_node("repair::a_daemon_that_was_killed_before_the_shim_ran_can_begin_again", async |root| {
        let before = open(root, &[]).await;
        network(&before, "front", 67).await;
        let place = before.reserve("pod", &[wish("front")], &[], Besides::Nothing).await.expect("reserved").remove(0);
        super::stage::empty_pod("pod");
        drop(before);
        let after = open(root, &["pod"]).await;
        assert_eq!((after.memberships("pod").as_slice(), ours().as_str()), (&[place.clone()][..], ""));
        // A host end that an earlier shim made for another namespace.
        sh("ip netns add old");
        after.attach("pod", Path::new("/run/netns/old")).await.expect("attached");
        after.attach("pod", &netns("pod")).await.expect("attached to the right one");
        assert!(!sh("ip -n old -o link").contains("eth0"));
        assert!(sh("ip -n pod -o addr").contains(&place.addresses[0].to_string()));
        drop(after);
        let last = open(root, &[]).await;
        assert_eq!((ours().as_str(), last.memberships("pod").len()), ("", 0));
        assert!(!root.join("networks/members/pod").exists());
    });
}

#[test]
fn a_damaged_network_is_reported_and_nobody_gets_its_name() {
    as_node("repair::a_damaged_network_is_reported_and_nobody_gets_its_name", async |root| {
        let before = open(root, &[]).await;
        network(&before, "front", 68).await;
        let a = pod(&before, "a", &[wish("front")]).await.remove(0);
        let b = pod(&before, "b", &[wish("front")]).await.remove(0);
        ["a", "b"].iter().for_each(|name| serve(name, 80));
        let id = before.list()[0].network.id.clone();
        drop(before);
        let file = damage(root, &id);
        let after = open(root, &["a", "b"]).await;
        let degraded = after.degraded().expect("damaged");
        assert!(degraded.contains(&id) && degraded.contains("checksum"), "{degraded}");
        assert!(call("a", ips(&b)[0], 80).is_some(), "its pods reach each other");
        assert_eq!(call("outside", ips(&a)[0], 80), None, "and nobody else reaches them");
        let refused = after.create(super::stage::named("other", &[])).await.expect_err("names are not known");
        assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
        assert!(refused.to_string().contains("move it away"), "{refused}");
        assert!(after.find("front").is_err());
        for id in ["a", "b"] {
            end(&after, id).await;
        }
        drop(after);
        std::fs::remove_file(&file).expect("moved away");
        let last = open(root, &[]).await;
        assert_eq!((last.degraded(), ours().as_str()), (None, ""));
        network(&last, "front", 68).await;
    });
}

/// Changes the last byte of a network's record.
fn damage(root: &Path, id: &str) -> std::path::PathBuf {
    let file = root.join("networks").join(id);
    let mut bytes = std::fs::read(&file).expect("record");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&file, bytes).expect("writable");
    file
}

#[test]
fn a_damaged_network_keeps_its_bridge_whatever_that_is_called() {
    as_node("repair::a_damaged_network_keeps_its_bridge_whatever_that_is_called", async |root| {
        let before = open(root, &[]).await;
        let options = [("com.docker.network.bridge.name".to_owned(), "br-web".to_owned())].into();
        let wanted = super::stage::named("front", &["10.69.0.0/24", "fd00:69::/64"]);
        let made = before.create(gorae_user_networks::Definition { options, ..wanted }).await.expect("made");
        network(&before, "back", 70).await;
        let a = pod(&before, "a", &[wish("front")]).await.remove(0);
        let b = pod(&before, "b", &[wish("front")]).await.remove(0);
        let c = pod(&before, "c", &[wish("back")]).await.remove(0);
        ["a", "b", "c"].iter().for_each(|name| serve(name, 80));
        assert!(sh("ip -d link show br-web").contains(&format!("alias gorae network {}", made.id)));
        drop(before);
        let file = damage(root, &made.id);
        // One of somebody else that says the same is left alone, and so are its packets.
        sh(&format!("ip link add br-other type bridge && ip link set br-other alias 'gorae network {}'", made.id));
        // The second time, the bridge does not say whose it is: an earlier build made it.
        for alias in [format!("gorae network {}", made.id), String::new()] {
            sh(&format!("ip link set br-web alias '{alias}'"));
            let after = open(root, &["a", "b", "c"]).await;
            after.reconcile().await.expect("swept");
            assert!(call("a", ips(&b)[0], 80).is_some(), "its pods reach each other");
            assert_eq!(call("outside", ips(&a)[0], 80), None, "nobody else reaches them");
            assert_eq!(call("a", ips(&c)[0], 80), None, "nor they others");
            let said = after.degraded().expect("damaged");
            assert!(said.contains(&made.id) && said.contains("move the record away"), "{said}");
            let [(id, what)] = &after.damaged()[..] else { panic!("one is damaged") };
            assert!(*id == made.id && what.contains("move it away"), "{what}");
            assert!(after.remove(&made.id).await.expect_err("damaged").to_string().contains("move it away"));
            assert!(!sh("nft list ruleset").contains("br-other"));
            end(&after, "c").await;
            pod(&after, "c", &[wish("back")]).await;
            serve("c", 80);
            assert!(call("a", ips(&b)[0], 80).is_some(), "another network comes and goes beside it");
        }
        std::fs::remove_file(&file).expect("moved away");
        let last = open(root, &["c"]).await;
        assert_eq!(last.degraded(), None);
        let bridges = sh("ip -o link show type bridge");
        assert!(!bridges.contains("br-web") && bridges.contains("br-other"), "{bridges}");
    });
}
