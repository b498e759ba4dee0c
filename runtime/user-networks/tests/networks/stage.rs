// SPDX-License-Identifier: Apache-2.0
//! The stage: a node, its pods, and a neighbour that routes everything via the node.
//!
//! ```text
//! outside (namespace) 192.0.2.1, fd00:2::1 ── 192.0.2.2, fd00:2::2 node (the test) ── pods (namespaces)
//! ```

use gorae_shims::Spawner;
use gorae_user_networks::{Besides, Config, Definition, Membership, SubnetWish, UserNetworks, Wish};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ON_STAGE: &str = "GORAE_TEST_ON_STAGE";
/// How long a connection may take that is to be made, or not.
const SOON: Duration = Duration::from_millis(700);

/// Runs a test as a node: in a child process with its own network and mount namespace. `name` is the test's path.
pub fn as_node(name: &str, test: impl AsyncFnOnce(&Path)) {
    if std::env::var_os(ON_STAGE).is_none() {
        return run_child(name);
    }
    let root = tempfile::tempdir().expect("directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    sh("ip netns add outside && ip link add eth7 type veth peer name eth0 netns outside
        echo 0 > /proc/sys/net/ipv6/conf/eth7/accept_dad
        ip addr add 192.0.2.2/24 dev eth7 && ip addr add fd00:2::2/64 dev eth7 nodad && ip link set eth7 up
        ip -n outside link set lo up && ip -n outside link set eth0 up
        ip -n outside addr add 192.0.2.1/24 dev eth0 && ip -n outside addr add fd00:2::1/64 dev eth0 nodad
        ip -n outside route add 10.0.0.0/8 via 192.0.2.2 && ip -n outside -6 route add fd00::/8 via fd00:2::2
        ip route add default via 192.0.2.1 && ip -6 route add default via fd00:2::1");
    runtime.expect("runtime").block_on(test(root.path()));
}

fn run_child(name: &str) {
    // A private /run holds `ip netns` names, so that nothing of a test outlives it.
    let script = r#"mount -t tmpfs tmpfs /run && ip link set lo up && exec "$0" "$@""#;
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ON_STAGE, "1")
        .output()
        .expect("unshare runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
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
    if netns.is_empty() {
        return work();
    }
    let file = File::open(format!("/run/netns/{netns}")).expect("namespace");
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter the namespace");
        work()
    });
    thread.join().expect("work inside the namespace")
}

/// Starts shims from the binary beside the tests.
pub fn spawner() -> Spawner {
    let beside = || {
        let test = std::env::current_exe().expect("this program");
        test.parent().and_then(Path::parent).expect("its directory").join("gorae-shim")
    };
    let shim = std::env::var_os("GORAE_SHIM").map_or_else(beside, PathBuf::from);
    assert!(shim.exists(), "{}: no such file; cargo build -p gorae-shim", shim.display());
    Spawner::by_path(shim)
}

/// Networks with the records of this root; `live` are the pods that the daemon knows.
pub async fn open(root: &Path, live: &[&str]) -> UserNetworks {
    let live: HashSet<String> = live.iter().map(ToString::to_string).collect();
    UserNetworks::open(root.join("networks"), spawner(), Config::default(), &live).await.expect("opened")
}

/// A network with this name and these subnets.
pub fn named(name: &str, subnets: &[&str]) -> Definition {
    let subnets =
        subnets.iter().map(|net| SubnetWish { subnet: net.parse().expect("net"), range: None, gateway: None });
    Definition { name: name.into(), subnets: subnets.collect(), ..Definition::default() }
}

/// A network with both families.
pub async fn network(networks: &UserNetworks, name: &str, number: u8) {
    let subnets = [format!("10.{number}.0.0/24"), format!("fd00:{number}::/64")];
    networks.create(named(name, &[&subnets[0], &subnets[1]])).await.expect("made");
}

/// A wish for a network, and nothing more.
pub fn wish(network: &str) -> Wish {
    Wish { network: network.into(), ..Wish::default() }
}

/// The path of a pod's namespace.
pub fn netns(pod: &str) -> PathBuf {
    Path::new("/run/netns").join(pod)
}

/// Makes a namespace as a pod has it before its networks.
pub fn empty_pod(pod: &str) {
    sh(&format!("ip netns add {pod} && ip -n {pod} link set lo up"));
}

/// Makes a pod with these networks.
pub async fn pod(networks: &UserNetworks, pod: &str, wishes: &[Wish]) -> Vec<Membership> {
    let places = networks.reserve(pod, wishes, &[format!("name-{pod}")], Besides::Nothing).await.expect("reserved");
    empty_pod(pod);
    networks.attach(pod, &netns(pod)).await.expect("attached");
    places
}

/// Removes a pod in the daemon's order.
pub async fn end(networks: &UserNetworks, pod: &str) {
    networks.detach(pod).await.expect("detached");
    sh(&format!("ip netns del {pod}"));
    networks.release(pod).await.expect("released");
}

/// Serves TCP in a namespace (`""` is the node): every client gets its own address as the server sees it.
pub fn serve(netns: &str, port: u16) {
    let listener = inside(netns, move || TcpListener::bind(("::", port)).expect("free port"));
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let peer = client.peer_addr().map(|peer| peer.ip().to_canonical().to_string());
            let _ = client.write_all(peer.unwrap_or_default().as_bytes());
        }
    });
}

/// Calls such a server from a namespace: returns the address it sees, `None` when it cannot be reached.
pub fn call(from: &str, to: IpAddr, port: u16) -> Option<IpAddr> {
    inside(from, move || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to, port), SOON).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.parse().ok()
    })
}

/// Whether a datagram to `to` arrives at a socket of another namespace on the same port.
pub fn arrives(from: &str, to: &str, at: &str, port: u16) -> bool {
    let receiver = inside(at, move || UdpSocket::bind(("0.0.0.0", port)).expect("free port"));
    receiver.set_read_timeout(Some(SOON)).expect("set");
    let to = to.to_owned();
    inside(from, move || {
        let sender = UdpSocket::bind("0.0.0.0:0").expect("free port");
        sender.set_broadcast(true).expect("set");
        // Without a route it does not arrive either.
        let _ = sender.send_to(b"hello", (to.as_str(), port));
    });
    receiver.recv_from(&mut [0; 8]).is_ok()
}

/// The addresses of a place, without prefix lengths.
pub fn ips(place: &Membership) -> Vec<IpAddr> {
    place.addresses.iter().map(|net| net.addr()).collect()
}

/// Everything of ours on the node.
pub fn ours() -> String {
    sh("nft list tables | grep gorae || true; ip -o link | grep -E ' (gn-|gu|br-)' || true")
}

/// The default routes of a pod, of both families.
pub fn default_routes(pod: &str) -> String {
    let routes = sh(&format!("ip -n {pod} route show default; ip -n {pod} -6 route show default"));
    let via = routes.lines().filter_map(|line| line.split_once(" via ")?.1.split_once(' ')).map(|(ip, _)| ip);
    via.collect::<Vec<_>>().join(" ")
}
