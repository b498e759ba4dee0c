// SPDX-License-Identifier: Apache-2.0
//! A node for one test: its thread has its own network and mount namespace, and a daemon's state directory with the real
//! shim beside it.

#![allow(dead_code)] // Each test binary uses only a part.

use gorae_node::Places;
use gorae_node::ids::PodId;
use gorae_node::names::NameKeeper;
use gorae_shims::Spawner;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What somebody gets who asks where no name server is.
pub const NOBODY_ANSWERS: Answer = Err(-1);

/// An address, or the code of the answer.
pub type Answer = Result<[u8; 4], i32>;

/// A daemon that tends a keeper, while its test looks on.
pub struct Daemon {
    pub keeper: NameKeeper,
}

/// A node.
pub struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        let stage = Self::without_shim();
        stage.install_shim();
        stage
    }

    pub fn without_shim() -> Self {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("tests run as root: tests/run cargo test …");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("make private");
        loopback_up();
        let stage =
            Self { dir: tempfile::Builder::new().prefix("gorae-names-").tempdir_in("/dev/shm").expect("a directory") };
        stage.places().prepare().expect("directories");
        stage
    }

    pub fn install_shim(&self) {
        let built =
            std::env::current_exe().expect("it runs").ancestors().nth(2).expect("target/debug").join("gorae-shim");
        let shim = std::env::var_os("GORAE_SHIM").map_or(built, PathBuf::from);
        assert!(shim.exists(), "{} is missing: cargo build -p gorae-shim", shim.display());
        std::os::unix::fs::symlink(shim, self.shim()).expect("a link");
    }

    fn shim(&self) -> PathBuf {
        self.dir.path().join("gorae-shim")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn places(&self) -> Places {
        Places { root: self.dir.path().join("root"), state: self.dir.path().join("state") }
    }

    pub fn resolv_conf(&self) -> PathBuf {
        self.dir.path().join("resolv.conf")
    }

    /// Runs a daemon without pods of an earlier one.
    pub fn run(&self, test: impl AsyncFnOnce(Daemon)) {
        self.run_with(Vec::new(), test);
    }

    /// Runs a daemon until the test is through; then it is gone with its connections.
    pub fn run_with(&self, pods: Vec<(PodId, PathBuf)>, test: impl AsyncFnOnce(Daemon)) {
        // Its threads are in the namespaces of this one, which the test itself may block.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let keeper = NameKeeper::following(Spawner::by_path(self.shim()), self.places(), self.resolv_conf());
            let tended = keeper.clone();
            let tending = tokio::spawn(async move { tended.tend().await });
            keeper.resume(pods);
            test(Daemon { keeper }).await;
            tending.abort();
            let _ = tending.await;
        });
    }

    /// A pod with a network namespace of its own.
    pub fn pod(&self, id: &PodId) -> Netns {
        self.pod_at(id, &self.dir.path().join(format!("netns-{}", &id.as_str()[..4])))
    }

    pub fn pod_at(&self, id: &PodId, pin: &Path) -> Netns {
        self.make_run_dir(id);
        File::create(pin).expect("a file");
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
            loopback_up();
            mount_bind("/proc/thread-self/ns/net", pin).expect("a pin");
        });
        Netns { pin: pin.to_owned() }
    }

    /// Makes the run directory of a pod, which every pod has that is made.
    pub fn make_run_dir(&self, id: &PodId) {
        fs::create_dir_all(self.places().pod_run(id)).expect("its directory");
    }

    /// The process that listens as the name server.
    pub fn server(&self) -> Option<Pid> {
        let socket = UnixStream::connect(self.places().state.join("names.sock")).ok()?;
        Some(rustix::net::sockopt::socket_peercred(&socket).expect("a peer").pid)
    }

    /// Stops it, or has it go on.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.server().expect("it listens"), signal).expect("it lives");
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&self) {
        let Some(pid) = self.server() else { return };
        kill_process(pid, Signal::KILL).expect("it lives");
        while self.server() == Some(pid) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many sockets the name server has.
    pub fn sockets_of_the_server(&self) -> usize {
        let Some(pid) = self.server() else { return 0 };
        // It may end at this moment.
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) else { return 0 };
        let targets = open.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
        let here = self.dir.path().display().to_string();
        for mounted in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.starts_with(&here)) {
            let _ = unmount(mounted, UnmountFlags::DETACH);
        }
    }
}

/// The network namespace of a pod.
pub struct Netns {
    pub pin: PathBuf,
}

impl Netns {
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = File::open(&self.pin).expect("its pin");
        in_a_thread(|| {
            setns(file, CloneFlags::CLONE_NEWNET).expect("it is a namespace");
            work()
        })
    }

    /// A socket of a program that asks the name server.
    pub fn connected(&self) -> UdpSocket {
        self.inside(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
            socket.connect("127.0.0.11:53").expect("an address");
            socket
        })
    }

    /// Asks for the address of a name.
    pub fn ask(&self, name: &str) -> Answer {
        ask_on(&self.connected(), name)
    }

    /// Whether a program of the pod cannot have this address.
    pub fn is_taken(&self, address: &str) -> bool {
        self.inside(|| UdpSocket::bind(address).is_err())
    }

    /// Gives it an interface whose other end is on the node: that end goes with the namespace.
    pub fn connect_to_the_node(&self, interface: &str) {
        ip(&format!("link add {interface} type veth peer name eth0 netns {}", self.pin.display()));
    }

    pub fn unpin(&self) {
        unmount(&self.pin, UnmountFlags::DETACH).expect("it is mounted");
    }
}

/// Asks for the address of a name; a question that is lost is asked again.
pub fn ask_on(socket: &UdpSocket, name: &str) -> Answer {
    let question = question(name);
    let mut answer = [0; 512];
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
    for _ in 0..15 {
        // What a closed port has said to an earlier question is no answer.
        match socket.send(&question).and_then(|_| socket.recv(&mut answer)) {
            Ok(length) => return read(&answer[..length]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return NOBODY_ANSWERS,
        }
    }
    NOBODY_ANSWERS
}

fn question(name: &str) -> Vec<u8> {
    let mut question = b"\x47\x11\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        question.push(label.len() as u8);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(b"\0\0\x01\0\x01");
    question
}

/// The one address in an answer, which is its last four bytes.
fn read(answer: &[u8]) -> Answer {
    assert_eq!(answer[..2], *b"\x47\x11");
    match (answer[3] & 15, answer[7]) {
        (0, 1) => Ok(*answer.last_chunk().expect("an address")),
        (code, _) => Err(code.into()),
    }
}

/// A server of the host: it gives one address for every name, until the test ends.
pub fn upstream(at: &str, address: [u8; 4]) {
    let socket = UdpSocket::bind(at).expect("the port is free in this namespace");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
            answer.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
            answer.extend_from_slice(&address);
            let _ = socket.send_to(&answer, from);
        }
    });
}

/// Waits until something is so, while the daemon works.
pub async fn within(limit: Duration, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < limit, "not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the node has an interface of this name.
pub fn is_there(interface: &str) -> bool {
    Command::new("ip").args(["link", "show", interface]).output().expect("ip runs").status.success()
}

fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

fn loopback_up() {
    ip("link set lo up");
}

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().expect("ip runs (package iproute2)");
    assert!(status.success(), "ip {line}");
}
