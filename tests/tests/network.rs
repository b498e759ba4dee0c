// SPDX-License-Identifier: Apache-2.0
//! The built-in network: addresses, pod to pod, host ports, names.

use gorae_proto::cri::{DnsConfig, GetEventsRequest, PodSandboxState, PodSandboxStatus, PodSandboxStatusRequest};
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{Container, Pod, TINY, on_a_node, web};
use std::collections::BTreeSet;
use std::time::Duration;

/// A web server whose page says which one it is.
async fn server(node: &gorae_tests::Node, pod: &Pod, text: &str) -> Container {
    let www = node.directory(&format!("www-{text}"));
    std::fs::write(www.join("index.html"), text).expect("the file is written");
    pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www").start().await
}

#[test]
fn a_pod_is_reached_at_its_address_and_at_its_host_port() {
    on_a_node(async |node| {
        let pod = node.pod("web").port(12_345, 80).run().await;
        server(node, &pod, "page").await;
        let address = pod.address().await;
        for place in [format!("{address}:80"), "127.0.0.1:12345".into()] {
            assert_eq!(web::get_soon(&place, "/").await, (200, "page".into()), "{place}");
        }
        pod.stop().await;
        assert!(web::get("127.0.0.1:12345", "/").await.is_err(), "the port is closed with the pod");
    });
}

#[test]
fn pods_reach_each_other_and_containers_of_a_pod_share_their_loopback() {
    on_a_node(async |node| {
        let (a, b) = (node.pod("a").run().await, node.pod("b").port(12_346, 80).run().await);
        server(node, &b, "from-b").await;
        let client = a.container("c").script("sleep 1000").start().await;
        let fetch = async |container: &Container, place: &str| {
            let script =
                format!("for i in 1 2 3 4 5; do wget -q -O - http://{place}/ && exit; sleep 0.2; done; exit 1");
            let out = container.sh(&script).await;
            assert_eq!(out.code, 0, "{out:?}");
            out.stdout
        };
        let address = b.address().await;
        assert_eq!(fetch(&client, &address).await, "from-b");
        let neighbour = b.container("n").script("sleep 1000").start().await;
        assert_eq!(fetch(&neighbour, "127.0.0.1").await, "from-b");
        // The published port of another pod, by way of the node's own address on the bridge.
        let gateway = client.sh("ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'").await.stdout;
        assert_eq!(fetch(&client, &format!("{}:12346", gateway.trim())).await, "from-b");
        // And of its own pod (a hairpin).
        assert_eq!(fetch(&neighbour, &format!("{}:12346", gateway.trim())).await, "from-b");
    });
}

#[test]
fn every_pod_has_an_address_of_its_own_and_keeps_it_in_every_answer() {
    on_a_node(async |node| {
        let mut seen = BTreeSet::new();
        let mut pods = Vec::new();
        for i in 0..30 {
            pods.push(node.pod(&format!("p{i}")).run().await);
        }
        for pod in &pods {
            let address = pod.address().await;
            assert!(seen.insert(address.clone()), "{address} is given twice");
            for _ in 0..5 {
                assert_eq!(pod.address().await, address);
            }
        }
    });
}

/// True when an answer contradicts itself: kubelet makes a ready pod without an address again.
fn is_ready_without_address(status: &PodSandboxStatus) -> bool {
    let address = status.network.as_ref().map(|n| n.ip.as_str()).unwrap_or_default();
    status.state() == PodSandboxState::SandboxReady && address.is_empty()
}

#[test]
fn a_ready_pod_is_never_without_its_address_not_even_for_a_moment() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        let kept = node.pod("kept").run().await;
        let lives = async {
            for i in 0..10 {
                let pod = node.pod(&format!("p{i}")).run().await;
                pod.container("c").image(TINY).args(["sleep"]).start().await;
                kept.container(&format!("c{i}")).image(TINY).args(["exit", "0"]).start().await.ended().await;
                pod.stop().await;
                pod.remove().await;
            }
        };
        let looks = async {
            loop {
                for pod in node.cri().list_pods().await.unwrap() {
                    let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id, verbose: false };
                    let Ok(answer) = node.cri().runtime().pod_sandbox_status(request).await else { continue };
                    let status = answer.into_inner().status.expect("a status");
                    assert!(!is_ready_without_address(&status), "{status:?}");
                }
            }
        };
        tokio::select! {
            () = lives => {}
            () = looks => {}
        }
        let address = kept.address().await;
        let mut of_kept = 0;
        while of_kept < 32 {
            let event = tokio::time::timeout(Duration::from_secs(10), events.message()).await.expect("it comes");
            let status = event.unwrap().expect("the stream goes on").pod_sandbox_status.expect("kubelet needs it");
            assert!(!is_ready_without_address(&status), "{status:?}");
            of_kept += usize::from(status.id == kept.id());
        }
        node.kill_and_restart().await;
        assert_eq!(kept.address().await, address, "from the first answer on");
    });
}

#[test]
fn a_pod_may_have_ipv6_alone_or_first() {
    for (families, others) in [("ipv6", 0), ("ipv6,ipv4", 1)] {
        let config = format!("[network]\nfamilies = \"{families}\"\nsubnet6 = \"fd00:77::/64\"\n");
        on_a_node_with(&config, async move |node| {
            let (a, b) = (node.pod("a").run().await, node.pod("b").run().await);
            let client = a.container("c").script("sleep 1000").start().await;
            let network = b.status().await.network.expect("a network of its own");
            assert!(network.ip.starts_with("fd00:77::"), "{network:?}");
            assert_eq!(network.additional_ips.len(), others, "{network:?}");
            for ip in std::iter::once(&network.ip).chain(network.additional_ips.iter().map(|other| &other.ip)) {
                let ping = client.sh(&format!("ping -c 1 -w 5 {ip}")).await;
                assert_eq!(ping.code, 0, "{families}: {ping:?}");
            }
            node.kill_and_restart().await;
            assert_eq!(b.status().await.network, Some(network));
        });
    }
}

#[test]
fn pods_made_at_the_same_time_have_different_addresses() {
    on_a_node(async |node| {
        let runs: Vec<_> = (0..20).map(|i| tokio::spawn(node.pod(&format!("p{i}")).run())).collect();
        let mut seen = BTreeSet::new();
        for run in runs {
            seen.insert(run.await.unwrap().address().await);
        }
        assert_eq!(seen.len(), 20);
    });
}

#[test]
fn the_pods_loopback_is_up_and_its_interface_has_the_address() {
    on_a_node(async |node| {
        let pod = node.pod("links").run().await;
        let container = pod.container("c").script("sleep 1000").start().await;
        let links = container.exec(["ip", "address"]).await.stdout;
        assert!(links.contains("127.0.0.1/8") && links.contains(&pod.address().await), "{links}");
        assert_eq!(container.sh("ls /sys/class/net | wc -l").await.stdout, "2\n");
    });
}

#[test]
fn names_are_resolved_as_the_pod_was_told() {
    on_a_node(async |node| {
        let builder = node.pod("dns").with(|c| {
            c.dns_config = Some(DnsConfig {
                servers: vec!["10.10.10.10".into(), "fd00::53".into()],
                searches: vec!["svc.cluster.local".into(), "cluster.local".into()],
                options: vec!["ndots:5".into()],
            });
        });
        let container = builder.run().await.container("c").script("sleep 1000").start().await;
        let text = container.exec(["cat", "/etc/resolv.conf"]).await.stdout;
        for line in ["nameserver 10.10.10.10", "nameserver fd00::53", "search svc.cluster.local cluster.local"] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
        assert!(text.lines().any(|l| l == "options ndots:5"), "{text}");
    });
}

#[test]
fn the_files_of_a_pod_are_for_every_user_to_read_whatever_the_daemons_umask() {
    on_a_node(async |node| {
        let own = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        // It is started by this process.
        node.kill_and_restart().await;
        rustix::process::umask(own);
        let pod = node.pod("files").run().await;
        let somebody = |c: &mut gorae_proto::cri::ContainerConfig| {
            let security = c.linux.get_or_insert_default().security_context.get_or_insert_default();
            security.run_as_user = Some(gorae_proto::cri::Int64Value { value: 12_345 });
        };
        let container = pod.container("c").with(somebody).script("sleep 1000").start().await;
        let files = "/etc/hosts /etc/hostname /etc/resolv.conf";
        let script = format!("stat -c %a {files}; umask; cat {files} >/dev/null && id -u");
        assert_eq!(container.sh(&script).await.stdout, "644\n644\n644\n0022\n12345\n");
    });
}

#[test]
fn a_host_port_that_another_pod_has_is_refused_until_it_is_free() {
    on_a_node(async |node| {
        let first = node.pod("first").port(12_347, 80).run().await;
        server(node, &first, "first").await;
        let refused = node.pod("second").port(12_347, 80).try_run().await.map(drop).unwrap_err();
        assert!(refused.message().contains("12347"), "{refused:?}");
        assert_eq!(refused.code(), tonic::Code::AlreadyExists, "{refused:?}");
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1, "nothing half-made is left");
        assert_eq!(web::get_soon("127.0.0.1:12347", "/").await.1, "first");
        first.stop().await;
        let second = node.pod("second").port(12_347, 80).run().await;
        server(node, &second, "second").await;
        assert_eq!(web::get_soon("127.0.0.1:12347", "/").await.1, "second");
    });
}

#[test]
fn a_port_without_a_host_port_is_not_published() {
    on_a_node(async |node| {
        let pod = node.pod("inner").port(0, 80).run().await;
        server(node, &pod, "inner").await;
        assert_eq!(web::get_soon(&format!("{}:80", pod.address().await), "/").await.1, "inner");
        assert!(web::get("127.0.0.1:80", "/").await.is_err());
    });
}
