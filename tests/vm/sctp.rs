// SPDX-License-Identifier: Apache-2.0
//! Host ports of SCTP, which few kernels without modules have. `make test-vm` runs it on a machine that has it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gorae_proto::cri::{PortMapping, Protocol};
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{Pod, TINY};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, listen, socket_with, sockopt};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The node's port, and the pod's.
const PORTS: (u16, u16) = (12_450, 9_000);

fn socket(of: SocketAddr) -> OwnedFd {
    let family = if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::SCTP)).unwrap();
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(5))).unwrap();
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Runs something on a thread in a network namespace.
fn inside<T: Send + 'static>(netns: PathBuf, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let netns = std::fs::File::open(netns).unwrap();
        nix::sched::setns(netns, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}

/// Serves SCTP in a pod, in both families: a client gets `answer`.
async fn serve(pod: &Pod, answer: &'static str) {
    let listener = inside(pod.netns().await, || {
        let at = SocketAddr::new("::".parse().unwrap(), PORTS.1);
        let socket = socket(at);
        // Not a time limit for the next client.
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, None).unwrap();
        bind(&socket, &at).unwrap();
        listen(&socket, 16).unwrap();
        TcpListener::from(socket)
    });
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(answer.as_bytes());
        }
    });
}

/// What a server of SCTP answers.
fn call(to: SocketAddr) -> std::io::Result<String> {
    let socket = socket(to);
    connect(&socket, &to)?;
    let mut answer = String::new();
    TcpStream::from(socket).read_to_string(&mut answer)?;
    Ok(answer)
}

fn sh(script: &str) {
    assert!(Command::new("sh").args(["-ec", script]).status().unwrap().success(), "{script}");
}

#[test]
fn a_host_port_of_sctp_is_reached_from_the_node_from_pods_and_by_the_pod_itself() {
    sh("modprobe sctp; ip link add lan0 type dummy; ip link set lan0 up; ip addr add 10.79.0.1/24 dev lan0
        ip addr add fd00:79::1/64 dev lan0 nodad");
    on_a_node_with("[network]\nsubnet6 = \"fd00:64::/64\"\n", async |node| {
        let (host_port, container_port) = (PORTS.0.into(), PORTS.1.into());
        let mapping =
            PortMapping { protocol: Protocol::Sctp.into(), host_port, container_port, host_ip: String::new() };
        let server = node.pod("server").with(|pod| pod.port_mappings.push(mapping.clone())).run().await;
        let client = node.pod("client").run().await;
        for pod in [&server, &client] {
            pod.container("c").image(TINY).args(["sleep", "1000"]).start().await;
        }
        serve(&server, "by SCTP").await;
        let [four, six, loopback] = ["10.79.0.1", "fd00:79::1", "127.0.0.1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let at = |ip| SocketAddr::new(ip, PORTS.0);
        for ip in [four, six, loopback] {
            assert_eq!(call(at(ip)).unwrap(), "by SCTP", "from the node at {ip}");
        }
        for pod in [&client, &server] {
            for ip in [four, six] {
                let answer = inside(pod.netns().await, move || call(at(ip)));
                assert_eq!(answer.unwrap(), "by SCTP", "from a pod at {ip}");
            }
        }
        let taken = node.pod("second").with(|pod| pod.port_mappings.push(mapping)).try_run().await.unwrap_err();
        assert!(taken.message().contains("12450/sctp is taken by pod"), "{taken}");
        node.kill_and_restart().await;
        assert_eq!(call(at(four)).unwrap(), "by SCTP");
        server.stop().await;
        assert!(call(at(four)).is_err(), "nothing leads there any more");
    });
    sh("ip link del lan0");
}
