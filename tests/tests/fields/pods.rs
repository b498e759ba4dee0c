// SPDX-License-Identifier: Apache-2.0
//! Fields of a pod's configuration.

use gorae_proto::cri::*;
use gorae_tests::{Pod, TINY, on_a_node};
use std::path::Path;
use std::time::Duration;

/// Answers one datagram at port 5353 of a network namespace with itself.
fn echo_once(netns: &Path) {
    let pin = std::fs::File::open(netns).expect("the pod's namespace is pinned");
    nix::sched::setns(pin, nix::sched::CloneFlags::CLONE_NEWNET).expect("this thread may change its namespace");
    let socket = std::net::UdpSocket::bind("0.0.0.0:5353").expect("the port is free in the pod");
    socket.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    let mut bytes = [0; 64];
    let (n, from) = socket.recv_from(&mut bytes).expect("the datagram comes");
    socket.send_to(&bytes[..n], from).expect("the answer goes");
}

#[test]
fn a_udp_host_port_reaches_the_pod_on_the_asked_address_only() {
    on_a_node(async |node| {
        let port = |protocol: Protocol, host_ip: &str| PortMapping {
            protocol: protocol.into(),
            container_port: 5353,
            host_port: 12_353,
            host_ip: host_ip.into(),
        };
        let pod = node.pod("udp").with(|c| c.port_mappings.push(port(Protocol::Udp, "127.0.0.1"))).run().await;
        // TCP at the same number is another port, and free.
        let other = node.pod("tcp").with(|c| c.port_mappings.push(port(Protocol::Tcp, "127.0.0.1"))).run().await;
        let pin = pod.netns().await;
        let server = std::thread::spawn(move || echo_once(&pin));
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect("127.0.0.1:12353").await.unwrap();
        let mut answer = [0; 64];
        let mut got = 0;
        // The server may not be there yet, and a datagram is not kept for it.
        for _ in 0..50 {
            // An answer of "refused" to the one before is told here.
            let _ = socket.send(b"hello").await;
            if let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(200), socket.recv(&mut answer)).await {
                got = n;
                break;
            }
        }
        assert_eq!(String::from_utf8_lossy(&answer[..got]), "hello");
        server.join().unwrap();
        drop(other);
    });
}

#[test]
fn overhead_and_resources_are_kept_and_shown_and_change_no_cgroup() {
    on_a_node(async |node| {
        let limit =
            |memory_limit_in_bytes| Some(LinuxContainerResources { memory_limit_in_bytes, ..Default::default() });
        let builder = node.pod("sized").with(|c| {
            let linux = c.linux.as_mut().expect("set");
            (linux.overhead, linux.resources) = (limit(1 << 20), limit(2 << 20));
        });
        let pod = builder.run().await;
        let linux = pod.info().await["config"]["linux"].clone();
        assert_eq!(linux["overhead"]["memory_limit_in_bytes"], 1 << 20, "{linux}");
        assert_eq!(linux["resources"]["memory_limit_in_bytes"], 2 << 20, "{linux}");
        // Far more than both: the sum is kubelet's to enforce.
        let script = "head -c 8000000 /dev/zero | tr '\\0' x > /dev/shm/eaten && wc -c < /dev/shm/eaten";
        let container = pod.container("c").script(script).start().await;
        assert_eq!((container.ended().await.exit_code, container.stdout()), (0, vec!["8000000".to_owned()]));
        let update = UpdatePodSandboxResourcesRequest {
            pod_sandbox_id: pod.id().to_owned(),
            overhead: limit(3 << 20),
            resources: limit(4 << 20),
        };
        node.cri().runtime().update_pod_sandbox_resources(update).await.unwrap();
        for _ in 0..2 {
            let told = pod.info().await["resources"].clone();
            assert_eq!(told["overhead"]["memory_limit_in_bytes"], 3 << 20, "{told}");
            assert_eq!(told["resources"]["memory_limit_in_bytes"], 4 << 20, "{told}");
            node.kill_and_restart().await;
        }
        let unknown = UpdatePodSandboxResourcesRequest { pod_sandbox_id: "f".repeat(64), ..Default::default() };
        let unknown = node.cri().runtime().update_pod_sandbox_resources(unknown).await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::NotFound);
    });
}

#[test]
fn without_a_dns_config_the_nodes_is_copied_and_an_empty_one_is_empty() {
    on_a_node(async |node| {
        let cat = async |pod: &Pod| {
            let container = pod.container("c").script("sleep 1000").start().await;
            container.exec(["cat", "/etc/resolv.conf"]).await.stdout
        };
        let copied = cat(&node.pod("copied").run().await).await;
        assert_eq!(copied, std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let empty = node.pod("empty").with(|c| c.dns_config = Some(DnsConfig::default())).run().await;
        assert_eq!(cat(&empty).await.trim(), "");
    });
}

#[test]
fn a_privileged_pod_is_what_a_privileged_container_needs() {
    on_a_node(async |node| {
        let privileged = |c: &mut PodSandboxConfig| {
            c.linux.as_mut().expect("set").security_context.as_mut().expect("set").privileged = true;
        };
        let pod = node.pod("privileged").with(privileged).run().await;
        pod.container("c").image(TINY).security(|s| s.privileged = true).create().await;
        let plain = node.pod("plain").run().await;
        let refused = plain.container("c").image(TINY).security(|s| s.privileged = true).create_as_it_is().await;
        let refused = refused.map(|c| c.id().to_owned()).unwrap_err();
        assert!(refused.message().contains("privileged pod"), "{refused:?}");
    });
}

#[test]
fn a_pod_may_have_become_privileged_since_it_was_made() {
    on_a_node(async |node| {
        // What `kubectl debug --profile=sysadmin` makes of a pod that runs.
        let pod = node.pod("debugged").run().await;
        let plain = pod.container("plain").image(TINY).args(["sleep"]).start().await;
        let mut now = pod.config().clone();
        now.linux.as_mut().expect("set").security_context.as_mut().expect("set").privileged = true;
        let debugger = pod.container("debugger").script("sleep 1000").security(|s| s.privileged = true);
        let debugger = debugger.in_pod_as(now).start().await;
        assert_eq!(debugger.sh("grep CapEff /proc/1/status | grep -c '[89a-f]$'; test -w /sys/kernel").await.code, 0);
        node.kill_and_restart().await;
        assert_eq!(debugger.exec(["true"]).await.code, 0);
        assert_eq!(plain.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
    });
}

#[test]
fn a_pods_own_context_is_not_its_containers() {
    on_a_node(async |node| {
        let builder = node.pod("context").with(|c| {
            let context = c.linux.as_mut().expect("set").security_context.as_mut().expect("set");
            context.run_as_user = Some(Int64Value { value: 1001 });
            context.run_as_group = Some(Int64Value { value: 1001 });
            context.supplemental_groups = vec![2000];
            context.readonly_rootfs = true;
            context.seccomp = Some(SecurityProfile::default());
        });
        let pod = builder.run().await;
        let container = pod.container("c").script("sleep 1000").start().await;
        let out = container.sh("id -u; id -G; touch /new && echo wrote; grep ^Seccomp: /proc/1/status").await.stdout;
        assert!(out.starts_with("0\n0") && out.contains("wrote") && out.contains("Seccomp:\t0"), "{out}");
    });
}

#[test]
fn labels_of_selinux_that_make_none_are_refused() {
    on_a_node(async |node| {
        type Change = fn(&mut SeLinuxOption);
        let wrong: [(&str, Change); 4] = [
            ("level", |o| o.level = "s0,c4,c5".into()),
            ("type", |o| o.r#type = "a:b".into()),
            ("role", |o| o.role = "a\nb".into()),
            ("user", |o| o.user = "a b".into()),
        ];
        let whole = SeLinuxOption { level: "s0:c1,c2".into(), r#type: "spc_t".into(), ..Default::default() };
        let fine = node.pod("fine").run().await;
        for (field, change) in wrong {
            let mut options = whole.clone();
            change(&mut options);
            let of_pod = node.pod("bad").with(|c| {
                let context = c.linux.as_mut().expect("set").security_context.as_mut().expect("set");
                context.selinux_options = Some(options.clone());
            });
            let error = of_pod.try_run().await.map(|p| p.id().to_owned()).unwrap_err();
            assert!(error.message().contains(&format!("selinux_options.{field}")), "{error:?}");
            let container = fine.container("c").image(TINY).security(|s| s.selinux_options = Some(options));
            let error = container.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
            assert!(error.message().contains(&format!("selinux_options.{field}")), "{error:?}");
        }
        let container = fine.container("c").image(TINY).security(|s| s.selinux_options = Some(whole));
        match container.try_create().await {
            Ok(_) => assert!(!std::path::Path::new("/sys/fs/selinux/enforce").exists(), "a label is left out"),
            Err(error) => assert!(error.message().contains("does not label"), "{error:?}"),
        }
    });
}
