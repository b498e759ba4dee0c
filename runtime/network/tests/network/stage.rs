// SPDX-License-Identifier: Apache-2.0
//! The stage: a node, its pods, and a peer outside the node.
//!
//! ```text
//! outside (namespace) 192.0.2.1, fd00:2::1 ── 192.0.2.2, fd00:2::2 node (the test) ── pods (namespaces)
//! ```

use gorae_network::{LivePod, Network, NetworkConfig, PodNetworkPlan};
use gorae_proto::cri::{PortMapping, Protocol};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The node's address on the outside link.
pub const NODE: &str = "192.0.2.2";
/// The same, IPv6.
pub const NODE6: &str = "fd00:2::2";
/// The peer outside.
pub const OUTSIDE: &str = "192.0.2.1";
const ON_STAGE: &str = "GORAE_TEST_ON_STAGE";

/// Runs a test as a node: in a child process with its own network and mount namespace. `name` is the test's path.
pub fn as_node(name: &str, test: impl AsyncFnOnce(&Path)) {
    if std::env::var_os(ON_STAGE).is_none() {
        return run_child(name);
    }
    let root = tempfile::tempdir().expect("directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    set_up_outside();
    runtime.expect("runtime").block_on(test(root.path()));
}

fn run_child(name: &str) {
    // A private /run holds `ip netns` names, so that nothing of a test outlives it.
    let script = r#"mount -t tmpfs tmpfs /run && ip link set lo up && exec "$0" "$@""#;
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1", "--include-ignored"])
        .env(ON_STAGE, "1")
        .output()
        .expect("unshare runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    print!("{said}");
}

fn set_up_outside() {
    sh("ip netns add outside && ip link add eth7 type veth peer name eth0 netns outside
        echo 0 > /proc/sys/net/ipv6/conf/eth7/accept_dad
        ip addr add 192.0.2.2/24 dev eth7 && ip addr add fd00:2::2/64 dev eth7 nodad && ip link set eth7 up
        ip -n outside link set lo up && ip -n outside link set eth0 up
        ip -n outside addr add 192.0.2.1/24 dev eth0 && ip -n outside addr add fd00:2::1/64 dev eth0 nodad
        ip route add default via 192.0.2.1 && ip -6 route add default via fd00:2::1");
}

/// Has the neighbour send packets for the loopback addresses to the node.
pub fn route_loopback_of_outside_here() {
    sh(&format!(
        "ip netns exec outside sh -ec 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
         ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via {NODE} src {OUTSIDE}
         ip -6 addr del ::1/128 dev lo; ip -6 route add ::1/128 via {NODE6} src fd00:2::1'"
    ));
}

/// Runs a shell script and returns its output; panics with its stderr if it fails.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().expect("sh runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `work` on a thread in a named network namespace. Sockets it makes stay there.
pub fn inside<T: Send + 'static>(netns: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file = File::open(format!("/run/netns/{netns}")).expect("namespace");
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter the namespace");
        work()
    });
    thread.join().expect("work inside the namespace")
}

/// Serves TCP in a namespace: every client gets its own address as the server sees it.
pub fn serve(netns: &str, address: &str) {
    let address = address.to_owned();
    let listener = inside(netns, move || TcpListener::bind(&address).expect("free port"));
    serve_on(listener);
}

/// Serves TCP on the node itself.
pub fn serve_on(listener: TcpListener) {
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let peer = client.peer_addr().map(|peer| peer.ip().to_canonical().to_string());
            let _ = client.write_all(peer.unwrap_or_default().as_bytes());
        }
    });
}

/// Serves TCP in a namespace: every client gets the same address, which tells this server from others.
pub fn serve_as(netns: &str, address: &str, answer: &'static str) {
    let address = address.to_owned();
    let listener = inside(netns, move || TcpListener::bind(&address).expect("free port"));
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.write_all(answer.as_bytes());
        }
    });
}

/// Calls such a server from a namespace (`""` is the node): returns the address it sees, `None` when it cannot be
/// reached.
pub fn call(netns: &str, to: impl ToString) -> Option<IpAddr> {
    let to: SocketAddr = to.to_string().parse().expect("address");
    let dial = move || {
        let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.parse().ok()
    };
    if netns.is_empty() { dial() } else { inside(netns, dial) }
}

/// A network without configuration.
pub async fn open(root: &Path, live: &[LivePod]) -> Network {
    Network::open(NetworkConfig::default(), root, live).await.expect("network")
}

/// Prepares a pod and sets it up the way a shim does, with ip(8). The namespace has the pod's id as its name.
pub async fn pod(network: &Network, id: &str, mappings: &[PortMapping]) -> PodNetworkPlan {
    let plan = network.prepare(id, mappings).await.expect("prepared");
    set_up_pod(id, &plan);
    network.publish(id).await.expect("published");
    plan
}

/// Does what the shim does.
fn set_up_pod(id: &str, plan: &PodNetworkPlan) {
    let net = &plan.network;
    let (host, inside, mac) = (&net.host_interface, &net.interface, hardware(&net.host_mac));
    let (own, ipv6) = (hardware_of(plan.ips[0]), plan.ips.iter().any(IpAddr::is_ipv6));
    let (file, value) = if ipv6 { ("accept_ra", 0) } else { ("disable_ipv6", 1) };
    sh(&format!(
        "ip netns add {id}
         ip link add {host} address {mac} mtu {0} group 26479 type veth peer name {inside} address {own} mtu {0} netns {id}
         echo 1 > /proc/sys/net/ipv4/conf/{host}/rp_filter
         echo {value} > /proc/sys/net/ipv6/conf/{host}/{file}
         ip link set {host} addrgenmode none up && ip -n {id} link set lo up && ip -n {id} link set {inside} up",
        net.mtu
    ));
    for ((address, gateway), source) in net.addresses.iter().zip(&net.gateways).zip(&net.sources) {
        let (ip, _) = address.split_once('/').expect("a prefix length");
        if ip.contains(':') {
            sh(&format!("ip addr add {gateway}/128 dev {host} nodad"));
        }
        let nodad = if ip.contains(':') { "nodad" } else { "" };
        sh(&format!(
            "ip route replace {address} dev {host} src {source}
             ip neigh replace {ip} lladdr {own} dev {host} nud permanent
             ip -n {id} addr add {address} dev {inside} {nodad}
             ip -n {id} neigh replace {gateway} lladdr {mac} dev {inside} nud permanent
             ip -n {id} route add default via {gateway} dev {inside} onlink"
        ));
    }
}

/// Prepares a pod and sets it up as an earlier daemon's shim did: as a port of the bridge, and in its subnet.
pub async fn bridged_pod(network: &Network, id: &str) -> PodNetworkPlan {
    let plan = network.prepare(id, &[]).await.expect("prepared");
    let net = &plan.network;
    let (host, inside) = (&net.host_interface, &net.interface);
    sh(&format!(
        "ip netns add {id} && ip link add {host} mtu {0} type veth peer name {inside} mtu {0} netns {id}
         ip link set {host} master {1} up && bridge link set dev {host} hairpin on
         ip -n {id} link set lo up && ip -n {id} link set {inside} up",
        net.mtu, net.bridge
    ));
    for (ip, gateway) in plan.ips.iter().zip(&net.sources) {
        let (length, nodad) = if ip.is_ipv4() { (20, "") } else { (64, "nodad") };
        sh(&format!(
            "ip -n {id} addr add {ip}/{length} dev {inside} {nodad} && ip -n {id} route add default via {gateway}"
        ));
    }
    plan
}

/// The hardware address of a pod's interface.
fn hardware_of(first: IpAddr) -> String {
    let [.., a, b, c, d] = match first {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    hardware(&[2, 0x67, a, b, c, d])
}

fn hardware(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Makes a pod as a CNI network with a bridge does, dual stack: its name is the namespace's.
pub fn bridged(id: &str, last: u8) -> [IpAddr; 2] {
    sh(&format!(
        "if ! ip link show cni0 >/dev/null 2>&1; then ip link add cni0 type bridge mcast_snooping 0 &&
           echo 0 > /proc/sys/net/ipv6/conf/cni0/accept_dad && ip link set cni0 up &&
           ip addr add 10.22.0.1/16 dev cni0 && ip addr add fd00:22::1/64 dev cni0 nodad; fi
         {FORWARDING}
         ip netns add {id} && ip link add br-{id} type veth peer name eth0 netns {id}
         ip link set br-{id} master cni0 up && bridge link set dev br-{id} hairpin on
         ip -n {id} link set lo up && ip -n {id} link set eth0 up
         ip -n {id} addr add 10.22.0.{last}/16 dev eth0 && ip -n {id} addr add fd00:22::{last}/64 dev eth0 nodad
         ip -n {id} route add default via 10.22.0.1 && ip -n {id} -6 route add default via fd00:22::1"
    ));
    [format!("10.22.0.{last}"), format!("fd00:22::{last}")].map(|ip| ip.parse().expect("address"))
}

/// Makes a pod as a CNI network with a route for each pod does, dual stack.
pub fn routed(id: &str, last: u8) -> [IpAddr; 2] {
    sh(&format!(
        "{FORWARDING}
         ip netns add {id} && ip link add cali-{id} type veth peer name eth0 netns {id}
         ip link set cali-{id} up && ip -n {id} link set lo up && ip -n {id} link set eth0 up
         ip addr add fe80::1/64 dev cali-{id} nodad && echo 1 > /proc/sys/net/ipv4/conf/cali-{id}/proxy_arp
         ip -n {id} addr add 10.23.0.{last}/32 dev eth0 && ip -n {id} addr add fd00:23::{last}/128 dev eth0 nodad
         ip -n {id} route add 169.254.1.1 dev eth0 && ip -n {id} route add default via 169.254.1.1 dev eth0
         ip -n {id} -6 route add default via fe80::1 dev eth0
         ip route add 10.23.0.{last}/32 dev cali-{id} && ip -6 route add fd00:23::{last}/128 dev cali-{id}"
    ));
    [format!("10.23.0.{last}"), format!("fd00:23::{last}")].map(|ip| ip.parse().expect("address"))
}

/// What every such network has its plugins switch on.
const FORWARDING: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";

/// Removes a pod in the daemon's order.
pub async fn take_away(network: &Network, id: &str) {
    network.withdraw(id).await.expect("withdrawn");
    sh(&format!("ip netns del {id}"));
    network.release(id);
}

/// A TCP mapping.
pub fn tcp(host_ip: &str, host_port: u16, container_port: u16) -> PortMapping {
    mapping(Protocol::Tcp, host_ip, host_port, container_port)
}

/// Any mapping.
pub fn mapping(protocol: Protocol, host_ip: &str, host_port: u16, container_port: u16) -> PortMapping {
    PortMapping {
        protocol: protocol.into(),
        host_ip: host_ip.into(),
        host_port: host_port.into(),
        container_port: container_port.into(),
    }
}

/// A pod as its record describes it at the next start.
pub fn live(id: &str, plan: &PodNetworkPlan, mappings: &[PortMapping]) -> LivePod {
    LivePod {
        pod_id: id.into(),
        ips: plan.ips.clone(),
        port_mappings: mappings.to_vec(),
        from_pool: true,
        ..LivePod::default()
    }
}
