// SPDX-License-Identifier: Apache-2.0
//! Which addresses, names and interfaces pods get.

use super::stage::{as_node, call, end, ips, named, open, pod, serve, sh, wish};
use gorae_user_networks::{Besides, Definition, ErrorKind, SubnetWish, Wish};

#[test]
fn an_address_can_be_chosen_in_a_subnet_that_was_given_and_nowhere_else() {
    as_node("places::an_address_can_be_chosen_in_a_subnet_that_was_given_and_nowhere_else", async |root| {
        let networks = open(root, &[]).await;
        networks.create(named("given", &["10.41.0.0/24", "fd00:41::/64"])).await.expect("made");
        networks.create(Definition { ipv6: true, ..named("chosen", &[]) }).await.expect("made");
        let mac = Some([2, 0, 0, 0, 0, 9]);
        let (ipv4, ipv6) = (Some([10, 41, 0, 77].into()), Some("fd00:41::77".parse().expect("address")));
        let wanted = Wish { ipv4, ipv6, mac, aliases: vec!["DB".into()], ..wish("given") };
        let place = pod(&networks, "a", std::slice::from_ref(&wanted)).await.remove(0);
        assert_eq!(
            place.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.41.0.77/24", "fd00:41::77/64"]
        );
        assert_eq!(place.names, ["name-a", "DB"]);
        let seen = sh("ip -n a -o addr show dev eth0; ip -n a -o link show dev eth0");
        for part in ["10.41.0.77/24", "fd00:41::77/64", "02:00:00:00:00:09"] {
            assert!(seen.contains(part), "{seen}");
        }
        assert_eq!(networks.wishes("a"), std::slice::from_ref(&wanted));
        for (bad, kind, why) in [
            (
                Wish { mac: None, ipv6: None, ..wanted.clone() },
                ErrorKind::AlreadyExists,
                "in use in network given by pod a",
            ),
            (
                Wish { ipv4: None, ipv6: None, ..wanted.clone() },
                ErrorKind::AlreadyExists,
                "02:00:00:00:00:09 is in use",
            ),
            (Wish { ipv4: Some([10, 41, 0, 1].into()), ..wish("given") }, ErrorKind::InvalidArgument, "is the gateway"),
            (Wish { ipv4: Some([10, 41, 0, 255].into()), ..wish("given") }, ErrorKind::InvalidArgument, "10.41.0.0/24"),
            (Wish { ipv4: Some([10, 42, 0, 2].into()), ..wish("given") }, ErrorKind::InvalidArgument, "10.41.0.0/24"),
            (
                Wish { ipv4: Some([10, 128, 0, 2].into()), ..wish("chosen") },
                ErrorKind::FailedPrecondition,
                "without a subnet",
            ),
            (Wish { mac: Some([1; 6]), ..wish("given") }, ErrorKind::InvalidArgument, "hardware address"),
            (Wish { aliases: vec!["a\nb".into()], ..wish("given") }, ErrorKind::InvalidArgument, "control character"),
            (wish("absent"), ErrorKind::NotFound, "absent"),
        ] {
            let error = networks.reserve("b", &[bad], &[], Besides::Nothing).await.expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(networks.memberships("b").is_empty());
        }
        let twice =
            networks.reserve("b", &[wish("given"), wish("given")], &[], Besides::Nothing).await.expect_err("twice");
        assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_range_runs_out_and_what_was_released_comes_last() {
    as_node("places::a_range_runs_out_and_what_was_released_comes_last", async |root| {
        let networks = open(root, &[]).await;
        let range = Some("10.43.7.4/30".parse().expect("net"));
        let subnet = SubnetWish { subnet: "10.43.7.0/24".parse().expect("net"), range, gateway: None };
        networks.create(Definition { subnets: vec![subnet], ..named("small", &[]) }).await.expect("made");
        let mut found = Vec::new();
        for id in ["a", "b", "c"] {
            found.extend(networks.reserve(id, &[wish("small")], &[], Besides::Nothing).await.expect("free"));
        }
        networks.release("b").await.expect("released");
        found.extend(networks.reserve("d", &[wish("small")], &[], Besides::Nothing).await.expect("free"));
        found.extend(networks.reserve("e", &[wish("small")], &[], Besides::Nothing).await.expect("free"));
        let all: Vec<String> = found.iter().flat_map(ips).map(|ip| ip.to_string()).collect();
        assert_eq!(all, ["10.43.7.4", "10.43.7.5", "10.43.7.6", "10.43.7.7", "10.43.7.5"]);
        let full = networks.reserve("f", &[wish("small")], &[], Besides::Nothing).await.expect_err("full");
        assert_eq!(full.kind(), ErrorKind::ResourceExhausted);
        assert!(full.to_string().contains("4 of 4 addresses of 10.43.7.4/30"), "{full}");
        // The reservations are durable, and those of pods that are gone are free.
        drop(networks);
        let after = open(root, &["a", "c", "d"]).await;
        let place = after.reserve("f", &[wish("small")], &[], Besides::Nothing).await.expect("e is gone").remove(0);
        assert_eq!(ips(&place)[0].to_string(), "10.43.7.5");
        let again = after.reserve("f", &[wish("small")], &[], Besides::Nothing).await.expect("the same call").remove(0);
        assert_eq!(again, place);
    });
}

#[test]
fn an_address_that_moves_is_reached_at_once_whatever_its_hardware_address() {
    as_node("places::an_address_that_moves_is_reached_at_once_whatever_its_hardware_address", async |root| {
        let networks = open(root, &[]).await;
        networks.create(named("front", &["10.44.0.0/24", "fd00:44::/64"])).await.expect("made");
        pod(&networks, "caller", &[wish("front")]).await;
        for round in 1..4 {
            let (ipv4, ipv6) = (Some([10, 44, 0, 9].into()), Some("fd00:44::9".parse().expect("address")));
            let moving = Wish { ipv4, ipv6, mac: Some([2, 0, 0, 0, 0, round]), ..wish("front") };
            let place = pod(&networks, "callee", &[moving]).await.remove(0);
            serve("callee", 80);
            for ip in ips(&place) {
                assert!(call("caller", ip, 80).is_some(), "{ip} in round {round}");
            }
            end(&networks, "callee").await;
        }
    });
}

#[test]
fn interfaces_and_the_way_out_go_by_priority_then_by_name() {
    as_node("places::interfaces_and_the_way_out_go_by_priority_then_by_name", async |root| {
        let networks = open(root, &[]).await;
        for (name, number) in [("b", 45), ("a", 46), ("c", 47)] {
            super::stage::network(&networks, name, number).await;
        }
        let first = Wish { gateway_priority: 1, ..wish("c") };
        let places = pod(&networks, "pod", &[wish("b"), first, wish("a")]).await;
        let order: Vec<_> = places.iter().map(|place| (place.interface.as_str(), place.network.as_str())).collect();
        assert_eq!(order, [("eth0", "c"), ("eth1", "a"), ("eth2", "b")]);
        assert_eq!(super::stage::default_routes("pod"), "10.47.0.1 fd00:47::1");
    });
}

#[test]
fn a_network_is_refused_for_what_it_clashes_with() {
    as_node("places::a_network_is_refused_for_what_it_clashes_with", async |root| {
        let networks = open(root, &[]).await;
        let made = networks.create(named("web", &["10.48.0.0/24"])).await.expect("made");
        sh("ip route add 10.49.0.0/16 dev eth7 && ip link add br-x type bridge");
        let bridge = |name: &str| [("com.docker.network.bridge.name".to_owned(), name.to_owned())].into();
        for (bad, kind, why) in [
            (named("web", &[]), ErrorKind::AlreadyExists, "network web already exists"),
            (named("b", &["10.48.0.128/25"]), ErrorKind::FailedPrecondition, "10.48.0.0/24 of network web"),
            (named("b", &["10.49.3.0/24"]), ErrorKind::FailedPrecondition, "route to 10.49.0.0/16 through eth7"),
            (named("b", &["192.0.2.0/28"]), ErrorKind::FailedPrecondition, "address 192.0.2.2/24 of interface eth7"),
            (named("b", &["10.50.0.1/24"]), ErrorKind::InvalidArgument, "host bits"),
            (named("host", &[]), ErrorKind::InvalidArgument, "reserved"),
            (Definition { options: bridge("br-x"), ..named("b", &[]) }, ErrorKind::FailedPrecondition, "br-x exists"),
            (Definition { options: bridge(&made.bridge), ..named("b", &[]) }, ErrorKind::FailedPrecondition, "exists"),
        ] {
            let error = networks.create(bad).await.expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.kind(), kind, "{error}");
        }
        let named = networks.create(Definition { options: bridge("br-own"), ..named("b", &[]) }).await.expect("made");
        assert_eq!((named.bridge.as_str(), named.subnets[0].subnet.to_string().as_str()), ("br-own", "10.128.0.0/24"));
        let list: Vec<_> = networks.list().into_iter().map(|listed| listed.network.name.clone()).collect();
        assert_eq!(list, ["b", "web"]);
        assert_eq!(networks.find(&named.id[..12]).expect("by prefix").network, named);
    });
}
