// SPDX-License-Identifier: Apache-2.0
//! A node for one test: the test's thread gets its own network and mount namespace, so that bridges, veths and pins end
//! with it and never conflict with those of another test or of the machine.

#![allow(dead_code)] // Each test binary uses only a part.

use crate::driver::{Shim, checked, eventually, layout, processes_with, unique};
use gorae_proto::shim::*;
use gorae_shim::sys::unshare;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{ThreadNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NEXT_INTERFACE: AtomicU32 = AtomicU32::new(0);

pub const BRIDGE: &str = "br-test";

/// The test's thread in its own namespaces, with a bridge without ports that has the gateways' addresses. It routes.
pub struct Node {
    pub dir: tempfile::TempDir,
}

impl Node {
    pub fn new() -> Self {
        // A tmpfs, as /run is on a node.
        let dir = tempfile::Builder::new().prefix("gorae-pod-").tempdir_in("/dev/shm").expect("temp dir");
        unshare(ThreadNameSpaceType::NETWORK | ThreadNameSpaceType::MOUNT).expect("tests run as root");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make private");
        for line in [
            "link set lo up",
            "link add br-test address 02:67:00:00:00:01 type bridge mcast_snooping 0",
            "addr add 10.77.0.1/16 dev br-test",
            "addr add fd77::1/64 dev br-test nodad",
            "link set br-test up",
        ] {
            ip(line);
        }
        for forwarding in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            fs::write(format!("/proc/sys/net/{forwarding}"), "1").expect("this namespace's own setting");
        }
        Self { dir }
    }

    /// A pod with this last byte in its addresses.
    pub fn pod_at(&self, last: u8) -> Pod {
        let mut pod = self.pod();
        pod.network().addresses = vec![format!("10.77.3.{last}/32"), format!("fd77::3{last:02x}/128")];
        pod
    }

    /// A pod with a network and its own namespaces, except for a user and a PID namespace.
    pub fn pod(&self) -> Pod {
        let id = unique("pod");
        let run_dir = self.dir.path().join(&id);
        fs::create_dir(&run_dir).expect("make run dir");
        let number = NEXT_INTERFACE.fetch_add(1, Ordering::Relaxed);
        let request = SetupPod {
            pod_id: id.clone(),
            run_dir: run_dir.display().to_string(),
            hostname: "box".into(),
            own_net: true,
            own_ipc: true,
            own_uts: true,
            network: Some(PodNetwork {
                bridge: BRIDGE.into(),
                host_interface: format!("gt{}-{number}", std::process::id() % 100_000),
                interface: "eth0".into(),
                addresses: vec!["10.77.3.4/32".into(), "fd77::304/128".into()],
                gateways: vec!["10.77.0.1".into(), "fe80::1".into()],
                sources: vec!["10.77.0.1".into(), "fd77::1".into()],
                host_mac: vec![0x02, 0x67, 0, 0, 0, 1],
                mtu: 0,
            }),
            cgroup: Some(CgroupPlace { layout: Some(layout()), path: format!("/gorae-pod-test/{id}") }),
            ..SetupPod::default()
        };
        Pod { run_dir, request }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The last test to end removes the parent of all pods' cgroups.
        let parent = CgroupPlace { layout: Some(layout()), path: "/gorae-pod-test".into() };
        let _ = gorae_shim::cgroup::remove_if_empty(&checked(parent));
    }
}

/// Runs ip(8) in the thread's namespace.
pub fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {line}");
}

pub fn interface_exists(name: &str) -> bool {
    Command::new("ip").args(["-o", "link", "show", name]).output().expect("iproute2").status.success()
}

/// One pod under test.
pub struct Pod {
    pub run_dir: PathBuf,
    pub request: SetupPod,
}

impl Pod {
    pub fn network(&mut self) -> &mut PodNetwork {
        self.request.network.as_mut().expect("set in Node::pod")
    }

    /// Leaves the pod this address alone.
    pub fn only_ipv4(&mut self, address: &str) {
        let network = self.network();
        network.addresses = vec![format!("{address}/32")];
        network.gateways.truncate(1);
        network.sources.truncate(1);
    }

    /// Leaves the pod its IPv6 address alone.
    pub fn only_ipv6(&mut self) {
        let network = self.network();
        for list in [&mut network.addresses, &mut network.gateways, &mut network.sources] {
            list.remove(0);
        }
    }

    pub fn sysctl(&mut self, name: &str, value: &str) -> &mut Self {
        self.request.sysctls.push(Sysctl { name: name.into(), value: value.into() });
        self
    }

    pub fn own_user(&mut self) -> &mut Self {
        let map = || vec![IdMap { container_id: 0, host_id: 700_000, length: 65_536 }];
        self.request.user = Some(UserMapping { uids: map(), gids: map() });
        self
    }

    pub fn spawn_setup(&self) -> Shim {
        let mut shim = Shim::spawn("setup-pod", &self.request.pod_id);
        shim.line.send(request::Verb::SetupPod(self.request.clone()), &[]);
        shim
    }

    pub fn try_setup(&self) -> Result<PodReady, Failure> {
        match one_shot("setup-pod", request::Verb::SetupPod(self.request.clone())).0 {
            reply::Body::PodReady(ready) => Ok(ready),
            reply::Body::Failure(failure) => Err(failure),
            other => panic!("unexpected reply {other:?}"),
        }
    }

    pub fn setup(&self) -> PodReady {
        self.try_setup().unwrap_or_else(|failure| panic!("set-up failed: {failure:?}"))
    }

    pub fn clean_request(&self) -> CleanPod {
        CleanPod {
            netns: self.request.netns.clone(),
            pod_id: self.request.pod_id.clone(),
            run_dir: self.request.run_dir.clone(),
            cgroup: self.request.cgroup.clone(),
            host_interface: self.request.network.as_ref().map_or_else(String::new, |n| n.host_interface.clone()),
            remove_empty_cgroups: Vec::new(),
            joined_net: !self.request.join_net.is_empty(),
        }
    }

    pub fn try_clean(&self) -> Result<(), Failure> {
        match one_shot("clean-pod", request::Verb::CleanPod(self.clean_request())).0 {
            reply::Body::Done(_) => Ok(()),
            reply::Body::Failure(failure) => Err(failure),
            other => panic!("unexpected reply {other:?}"),
        }
    }

    pub fn clean(&self) {
        self.try_clean().unwrap_or_else(|failure| panic!("clean-up failed: {failure:?}"));
    }

    pub fn pin(&self, kind: &str) -> PathBuf {
        self.run_dir.join("ns").join(kind)
    }

    /// The inode number of the namespace that a pin holds.
    pub fn inode(&self, kind: &str) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(self.pin(kind)).expect("pin"))
    }

    /// Runs `work` on a thread in some of the pod's namespaces.
    pub fn inside<T: Send>(&self, kinds: &[&str], work: impl FnOnce() -> T + Send) -> T {
        let pins: Vec<File> = kinds.iter().map(|kind| File::open(self.pin(kind)).expect("pin")).collect();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                for pin in pins {
                    move_into_link_name_space(pin.as_fd(), None).expect("enter namespace");
                }
                work()
            });
            thread.join().expect("no panic inside")
        })
    }

    /// A command in the pod, through nsenter(1).
    pub fn nsenter(&self, kinds: &[&str], command: &str) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(kinds.iter().map(|kind| format!("--{kind}={}", self.pin(kind).display())));
        nsenter.args(["--", "sh", "-c", command]);
        nsenter
    }

    pub fn cgroup_dirs(&self) -> Vec<PathBuf> {
        let place = self.request.cgroup.as_ref().expect("set in Node::pod");
        let layout = place.layout.as_ref().expect("set in Node::pod");
        let mounts = layout.v1.iter().map(|h| h.mount_point.clone()).chain([layout.unified.clone()]);
        mounts.map(|mount| PathBuf::from(format!("{mount}{}", place.path))).filter(|dir| dir.exists()).collect()
    }

    /// Asserts that nothing of the pod is left, and waits for the interface, which the kernel removes a moment later.
    pub fn assert_clean(&self) {
        let left: Vec<_> = fs::read_dir(&self.run_dir).expect("run dir stays").flatten().map(|e| e.path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "files left");
        assert_eq!(self.cgroup_dirs(), Vec::<PathBuf>::new(), "cgroups left");
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
        assert!(!mounts.contains(&self.request.run_dir), "mounts left:\n{mounts}");
        eventually("the pod's processes end", || processes_with(&self.request.pod_id).is_empty());
        if let Some(network) = &self.request.network {
            eventually("the host interface goes", || !interface_exists(&network.host_interface));
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.try_clean();
        }
    }
}

/// Sends one request to a process of its own, which exits after its reply.
pub fn one_shot(role: &str, verb: request::Verb) -> (reply::Body, Vec<std::os::fd::OwnedFd>) {
    let mut shim = Shim::spawn(role, "pod-under-test");
    let reply = shim.line.ask(verb);
    assert!(shim.process.wait().expect("wait").success());
    reply
}

/// Opens a TCP connection from the node to the pod and sends a word each way.
pub fn talk(pod: &Pod, address: &str) {
    let address: SocketAddr = address.parse().expect("an address");
    let listener = pod.inside(&["net"], || TcpListener::bind(address).expect("listen in the pod"));
    let mut client = TcpStream::connect_timeout(&address, SOON).expect("connect to the pod");
    // The connection is established on the node's side, but its last packet may still be in flight.
    let (mut server, _) = within(&listener).expect("a connection reaches the pod");
    for end in [&client, &server] {
        end.set_read_timeout(Some(SOON)).expect("a time limit");
    }
    let mut word = [0; 4];
    client.write_all(b"ping").expect("the node sends");
    server.read_exact(&mut word).expect("the pod receives from the node");
    server.write_all(&word).expect("the pod sends");
    client.read_exact(&mut word).expect("the node receives from the pod");
    assert_eq!(&word, b"ping");
}

/// How long a packet may take to the next namespace, including retransmissions.
pub const SOON: Duration = Duration::from_secs(5);

/// Accepts a connection, with a time limit.
pub fn within(listener: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
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

/// The namespace that this thread is in.
pub fn own_inode(kind: &str) -> u64 {
    let path = Path::new("/proc/thread-self/ns").join(kind);
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("own namespace"))
}
