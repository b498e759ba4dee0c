// SPDX-License-Identifier: Apache-2.0
//! Tests what a pod has after its set-up, and that a failed set-up leaves nothing.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use gorae_proto::shim::failure::Kind;
use pods::{Node, own_inode};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}")).trim_end().to_owned()
}

#[test]
fn a_pods_namespaces_are_pinned_and_its_own() {
    let node = Node::new();
    let (one, mut two) = (node.pod(), node.pod());
    two.network().addresses = vec!["10.77.9.9/16".into()];
    two.network().gateways.pop();
    let ready = one.setup();
    two.setup();
    assert_eq!((ready.init_pid, ready.init_start_ticks), (0, 0));
    for kind in ["net", "ipc", "uts"] {
        let inodes = [own_inode(kind), one.inode(kind), two.inode(kind)];
        assert!(inodes[0] != inodes[1] && inodes[1] != inodes[2] && inodes[0] != inodes[2], "{kind}");
    }
    assert!(!one.pin("pid").exists() && !one.pin("user").exists());
    let (host, inside) = (read("/proc/sys/kernel/hostname"), || read("/proc/sys/kernel/hostname"));
    assert_eq!(one.inside(&["uts"], inside), "box");
    assert_ne!(host, "box");
    one.clean();
    two.clean();
    one.assert_clean();
    two.assert_clean();
}

#[test]
fn only_what_was_asked_for_is_made() {
    let node = Node::new();
    let mut pod = node.pod();
    (pod.request.own_net, pod.request.own_ipc, pod.request.network) = (false, false, None);
    pod.setup();
    let pins: Vec<_> = fs::read_dir(pod.run_dir.join("ns")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(pins, ["uts"]);
    assert!(!pod.run_dir.join("shm").exists());
    pod.clean();
    pod.assert_clean();
}

#[test]
fn shared_memory_is_a_tmpfs_of_64_mib() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    let mounts = read("/proc/thread-self/mounts");
    let shm = pod.run_dir.join("shm").display().to_string();
    let line = mounts.lines().find(|line| line.contains(&shm)).expect("mounted");
    for option in ["nosuid", "nodev", "noexec", "size=65536k"] {
        assert!(line.contains(option), "{option} in {line}");
    }
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&shm).unwrap());
    assert_eq!(mode & 0o7777, 0o1777);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn sysctls_are_set_in_the_pod_and_nowhere_else() {
    let node = Node::new();
    let mut pod = node.pod();
    let before = ["/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_unprivileged_port_start"].map(read);
    pod.sysctl("kernel.msgmax", "12345")
        .sysctl("net/ipv4/ip_unprivileged_port_start", "77")
        .sysctl("net.ipv4.conf.eth0.forwarding", "1")
        .sysctl("fs.mqueue.msg_max", "33");
    pod.setup();
    let inside = pod.inside(&["net", "ipc"], || {
        [
            "/proc/sys/kernel/msgmax",
            "/proc/sys/net/ipv4/ip_unprivileged_port_start",
            "/proc/sys/net/ipv4/conf/eth0/forwarding",
            "/proc/sys/fs/mqueue/msg_max",
        ]
        .map(read)
    });
    assert_eq!(inside, ["12345", "77", "1", "33"]);
    assert_eq!(["/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_unprivileged_port_start"].map(read), before);
    pod.clean();
    pod.assert_clean();
}

#[test]
fn a_sysctl_that_cannot_be_set_is_named_and_the_pod_is_undone() {
    let node = Node::new();
    for (name, value, kind) in [
        ("net.ipv4.no_such_thing", "1", Kind::NotFound),
        ("net.ipv4.ip_forward", "many", Kind::InvalidArgument),
        ("kernel.core_pattern", "core", Kind::InvalidArgument),
        ("net/../kernel/core_pattern", "core", Kind::InvalidArgument),
    ] {
        let mut pod = node.pod();
        pod.sysctl(name, value);
        let failure = pod.try_setup().unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure:?}");
        let (checked, written) = (format!("check request sysctls[0].name: {name:?}"), format!("set sysctl {name}"));
        let begins = [checked, written].iter().any(|begin| failure.message.starts_with(begin));
        assert!(begins, "{}", failure.message);
        pod.assert_clean();
    }
}

#[test]
fn a_missing_bridge_is_named_and_the_pod_is_undone() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.network().bridge = "br-none".into();
    let failure = pod.try_setup().unwrap_err();
    assert_eq!((failure.kind(), failure.object.as_str()), (Kind::NotFound, "br-none"));
    pod.assert_clean();
}

#[test]
fn an_interface_name_that_is_taken_fails_with_the_kernels_answer_and_is_left_alone() {
    let node = Node::new();
    let (one, mut two) = (node.pod(), node.pod());
    one.setup();
    two.network().host_interface = one.request.network.as_ref().unwrap().host_interface.clone();
    two.network().addresses = vec!["10.77.9.9/16".into()];
    let failure = two.try_setup().unwrap_err();
    assert_eq!(failure.kind(), Kind::AlreadyExists, "{failure:?}");
    two.request.network = None;
    two.assert_clean();
    talk(&one, "10.77.3.4:7000");
    one.clean();
    one.assert_clean();
}

/// Opens a TCP connection from the node to the pod and sends a word each way.
fn talk(pod: &pods::Pod, address: &str) {
    let address: SocketAddr = address.parse().unwrap();
    let listener = pod.inside(&["net"], || TcpListener::bind(address).expect("listen in the pod"));
    let mut client = TcpStream::connect_timeout(&address, SOON).expect("connect to the pod");
    // The connection is established on the node's side, but its last packet may still be in flight.
    let (mut server, _) = within(&listener).expect("a connection reaches the pod");
    for end in [&client, &server] {
        end.set_read_timeout(Some(SOON)).unwrap();
    }
    let mut word = [0; 4];
    client.write_all(b"ping").unwrap();
    server.read_exact(&mut word).expect("the pod receives from the node");
    server.write_all(&word).unwrap();
    client.read_exact(&mut word).expect("the node receives from the pod");
    assert_eq!(&word, b"ping");
}

/// How long a packet may take to the next namespace, including retransmissions.
const SOON: Duration = Duration::from_secs(5);

/// Accepts a connection, with a time limit.
fn within(listener: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let end = Instant::now() + SOON;
    loop {
        match listener.accept() {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

#[test]
fn the_node_and_the_pod_reach_each_other_over_both_families() {
    let node = Node::new();
    let pod = node.pod();
    pod.setup();
    talk(&pod, "10.77.3.4:7001");
    talk(&pod, "[fd77::304]:7001");
    for gateway in ["10.77.0.1:7002", "[fd77::1]:7002"] {
        let gateway: SocketAddr = gateway.parse().unwrap();
        let _listener = TcpListener::bind(gateway).unwrap();
        pod.inside(&["net"], || TcpStream::connect_timeout(&gateway, Duration::from_secs(5)).expect("pod to node"));
    }
    pod.clean();
    pod.assert_clean();
}

#[test]
fn an_address_works_for_the_next_pod_at_once() {
    let node = Node::new();
    for round in 0..10 {
        let pod = node.pod();
        pod.setup();
        talk(&pod, &format!("10.77.3.4:{}", 7100 + round));
        talk(&pod, &format!("[fd77::304]:{}", 7100 + round));
        pod.clean();
    }
}

#[test]
fn the_last_pod_with_an_address_gets_its_packets_whatever_the_one_before_sends() {
    let node = Node::new();
    let (one, two) = (node.pod(), node.pod());
    one.setup();
    talk(&one, "10.77.3.4:7200");
    two.setup();
    for round in 0..5 {
        one.inside(&["net"], || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_broadcast(true).unwrap();
            socket.send_to(b"still here", "10.77.255.255:9").unwrap();
        });
        talk(&two, &format!("10.77.3.4:{}", 7201 + round));
    }
    one.clean();
    talk(&two, "10.77.3.4:7210");
    two.clean();
    two.assert_clean();
}

#[test]
fn a_gateway_outside_of_the_pods_subnet_is_reached_on_the_link() {
    let node = Node::new();
    let mut pod = node.pod();
    pod.network().addresses = vec!["10.77.3.4/32".into(), "fd77::304/128".into()];
    pod.setup();
    talk(&pod, "10.77.3.4:7003");
    pod.clean();
    pod.assert_clean();
}
