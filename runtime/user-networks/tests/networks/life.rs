// SPDX-License-Identifier: Apache-2.0
//! A pod comes, changes its networks while it runs, and goes; nothing stays.

use super::stage::{
    as_node, call, default_routes, empty_pod, end, ips, netns, network, open, ours, pod, serve, sh, wish,
};
use gorae_user_networks::{Besides, ErrorKind};
use std::collections::BTreeMap;

#[test]
fn nothing_stays_of_the_last_pod_and_nothing_at_all_of_a_network() {
    as_node("life::nothing_stays_of_the_last_pod_and_nothing_at_all_of_a_network", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "front", 51).await;
        network(&networks, "back", 52).await;
        assert_eq!(ours(), "", "before the first pod");
        let before = *networks.changed().borrow();
        pod(&networks, "a", &[wish("front"), wish("back")]).await;
        pod(&networks, "b", &[wish("front")]).await;
        assert!(*networks.changed().borrow() > before);
        networks.attach("a", &netns("a")).await.expect("a second time");
        let busy = networks.remove("front").await.expect_err("in use");
        assert_eq!(busy.kind(), ErrorKind::FailedPrecondition);
        assert!(busy.to_string().contains("network front is in use by pods name-a (a), name-b (b)"), "{busy}");
        assert!(networks.prune(0, &BTreeMap::new()).await.expect("none").is_empty());
        // A pod whose namespace somebody else keeps loses its interfaces all the same.
        networks.detach("a").await.expect("detached");
        assert!(!sh("ip -n a -o link").contains("eth"));
        assert!(networks.detach("a").await.is_ok() && networks.release("a").await.is_ok());
        assert!(networks.release("a").await.is_ok());
        let now = ours();
        assert_eq!((now.matches("gn-").count() > 0, now.matches("table").count()), (true, 1), "b is still there");
        end(&networks, "b").await;
        assert_eq!(ours(), "");
        assert_eq!(networks.prune(0, &BTreeMap::new()).await.expect("both"), ["back", "front"]);
        let files = sh(&format!("find {} -type f", root.display()));
        assert_eq!((files.as_str(), networks.degraded()), ("", None));
    });
}

#[test]
fn a_running_pod_joins_and_leaves_and_its_way_out_moves() {
    as_node("life::a_running_pod_joins_and_leaves_and_its_way_out_moves", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "m", 53).await;
        network(&networks, "a", 54).await;
        network(&networks, "z", 55).await;
        pod(&networks, "pod", &[wish("m")]).await;
        let peer = pod(&networks, "peer", &[wish("a")]).await.remove(0);
        serve("peer", 80);
        assert_eq!(default_routes("pod"), "10.53.0.1 fd00:53::1");
        assert_eq!(call("pod", ips(&peer)[0], 80), None);
        let at = netns("pod");
        let place =
            networks.connect("pod", Some(&at), &wish("a"), &["x".into()], Besides::Nothing).await.expect("connected");
        assert_eq!((place.interface.as_str(), place.names.as_slice()), ("eth1", &["x".to_owned()][..]));
        assert_eq!(default_routes("pod"), "10.54.0.1 fd00:54::1", "a is first by name");
        ips(&peer).into_iter().for_each(|ip| assert!(call("pod", ip, 80).is_some(), "{ip}"));
        let again = networks.connect("pod", Some(&at), &wish("a"), &[], Besides::Nothing).await.expect_err("twice");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        networks.connect("pod", Some(&at), &wish("z"), &[], Besides::Nothing).await.expect("connected");
        assert_eq!(default_routes("pod"), "10.54.0.1 fd00:54::1", "z is last");
        networks.disconnect("pod", Some(&at), "m").await.expect("disconnected");
        let left: Vec<_> = networks.memberships("pod").into_iter().map(|place| place.interface).collect();
        assert_eq!(left, ["eth1", "eth2"]);
        networks.disconnect("pod", Some(&at), "a").await.expect("disconnected");
        assert_eq!(default_routes("pod"), "10.55.0.1 fd00:55::1");
        assert_eq!(call("pod", ips(&peer)[0], 80), None);
        let place = networks.connect("pod", Some(&at), &wish("m"), &[], Besides::Nothing).await.expect("connected");
        assert_eq!(place.interface, "eth0", "free again");
        assert_eq!(networks.wishes("pod").iter().map(|wish| wish.network.as_str()).collect::<Vec<_>>(), ["m", "z"]);
        for name in ["m", "z"] {
            networks.disconnect("pod", Some(&at), name).await.expect("disconnected");
        }
        assert_eq!(default_routes("pod"), "");
        let none = networks.disconnect("pod", Some(&at), "m").await.expect_err("not in it");
        assert_eq!(none.kind(), ErrorKind::NotFound);
        end(&networks, "peer").await;
        assert_eq!(ours(), "");
    });
}

#[test]
fn a_pod_that_is_not_up_only_remembers_its_networks() {
    as_node("life::a_pod_that_is_not_up_only_remembers_its_networks", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "a", 56).await;
        network(&networks, "b", 57).await;
        networks.reserve("pod", &[wish("b")], &[], Besides::Nothing).await.expect("reserved");
        networks.connect("pod", None, &wish("a"), &[], Besides::Nothing).await.expect("recorded");
        assert_eq!(ours(), "");
        drop(networks);
        let after = open(root, &["pod"]).await;
        assert_eq!((after.memberships("pod").len(), ours().as_str()), (2, ""));
        empty_pod("pod");
        after.attach("pod", &netns("pod")).await.expect("attached");
        assert_eq!(default_routes("pod"), "10.56.0.1 fd00:56::1");
        after.disconnect("pod", None, "a").await.expect("without its namespace");
        assert!(!sh("ip -n pod -o link").contains("eth1"));
    });
}

#[test]
fn what_fails_leaves_nothing_behind() {
    as_node("life::what_fails_leaves_nothing_behind", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "a", 58).await;
        network(&networks, "b", 59).await;
        networks.reserve("gone", &[wish("a")], &[], Besides::Nothing).await.expect("reserved");
        assert!(networks.attach("gone", &netns("gone")).await.is_err(), "no namespace");
        assert_eq!(ours(), "");
        pod(&networks, "pod", &[wish("a")]).await;
        // The name is in use inside.
        sh("ip -n pod link add eth1 type bridge");
        let at = netns("pod");
        let error = networks.connect("pod", Some(&at), &wish("b"), &[], Besides::Nothing).await.expect_err("taken");
        assert!(error.to_string().contains("eth1"), "{error}");
        assert_eq!((networks.memberships("pod").len(), default_routes("pod").as_str()), (1, "10.58.0.1 fd00:58::1"));
        assert_eq!(ours().matches("gn-").count(), 1 + 1, "one bridge, and its port: {}", ours());
        sh("ip -n pod link del eth1");
        networks.connect("pod", Some(&at), &wish("b"), &[], Besides::Nothing).await.expect("free now");
    });
}

#[test]
fn without_nft_no_pod_is_attached() {
    as_node("life::without_nft_no_pod_is_attached", async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "a", 60).await;
        networks.reserve("pod", &[wish("a")], &[], Besides::Nothing).await.expect("reserved");
        empty_pod("pod");
        sh("mount --bind /dev/null $(readlink -f $(command -v nft)) && mount -t tmpfs tmpfs /usr/sbin");
        let error = networks.attach("pod", &netns("pod")).await.expect_err("no nft");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(error.to_string().contains("package nftables"), "{error}");
    });
}
