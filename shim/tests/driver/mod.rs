// SPDX-License-Identifier: Apache-2.0
//! Drives the real `gorae-shim` as the daemon does, with a socket pair, frames with descriptors and a rootfs directory, and
//! checks what is left afterwards.

#![allow(dead_code)] // Each test binary uses only a part.

use gorae_proto::frame as framing;
use gorae_proto::shim::*;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::VecDeque;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The path of the shim under test: the one that cargo built, or another one to measure.
pub fn shim_binary() -> PathBuf {
    std::env::var_os("GORAE_SHIM").map_or_else(|| env!("CARGO_BIN_EXE_gorae-shim").into(), PathBuf::from)
}

/// A name that no other test in this or a parallel run uses.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}-{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One connection to a shim.
pub struct Line {
    socket: OwnedFd,
    next_request: u64,
    inbox: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    pushes: VecDeque<push::Body>,
}

impl Line {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, next_request: 1, inbox: Vec::new(), descriptors: Vec::new(), pushes: VecDeque::new() }
    }

    pub fn connect(run_dir: &Path) -> Self {
        let stream = std::os::unix::net::UnixStream::connect(run_dir.join("shim.sock")).expect("connect to shim.sock");
        Self::new(stream.into())
    }

    /// Sends one request and waits for its reply. Pushes that arrive earlier are kept.
    pub fn ask(&mut self, verb: request::Verb) -> (reply::Body, Vec<OwnedFd>) {
        self.ask_with(verb, &[])
    }

    pub fn ask_with(&mut self, verb: request::Verb, fds: &[BorrowedFd<'_>]) -> (reply::Body, Vec<OwnedFd>) {
        let id = self.send(verb, fds);
        self.wait_reply(id)
    }

    pub fn send(&mut self, verb: request::Verb, fds: &[BorrowedFd<'_>]) -> u64 {
        let id = self.next_request;
        self.next_request += 1;
        let request = Request { id, verb: Some(verb) };
        let bytes = framing::encode(&Frame { body: Some(frame::Body::Request(request)) }).expect("small frame");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let sent = sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL).expect("send");
        assert_eq!(sent, bytes.len());
        id
    }

    pub fn wait_reply(&mut self, id: u64) -> (reply::Body, Vec<OwnedFd>) {
        loop {
            match self.frame().expect("the shim closed the connection before its reply") {
                frame::Body::Reply(reply) => {
                    assert_eq!(reply.id, id, "this is the reply to another request");
                    return (reply.body.expect("empty reply"), std::mem::take(&mut self.descriptors));
                }
                frame::Body::Push(push) => self.pushes.push_back(push.body.expect("empty push")),
                frame::Body::Request(_) => panic!("a shim sends no requests"),
            }
        }
    }

    /// The next push; `None` at the end of the connection.
    pub fn next_push(&mut self) -> Option<push::Body> {
        if let Some(push) = self.pushes.pop_front() {
            return Some(push);
        }
        match self.frame()? {
            frame::Body::Push(push) => push.body,
            other => panic!("expected a push: {other:?}"),
        }
    }

    fn frame(&mut self) -> Option<frame::Body> {
        loop {
            if let Some(frame) = framing::decode(&mut self.inbox).expect("valid frame") {
                return frame.body;
            }
            let mut chunk = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let got = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut chunk)], &mut control, flags).expect("receive");
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    self.descriptors.extend(rights);
                }
            }
            if got.bytes == 0 {
                return None;
            }
            self.inbox.extend_from_slice(&chunk[..got.bytes]);
        }
    }
}

/// A shim process in one role.
pub struct Shim {
    pub process: Child,
    pub line: Line,
}

impl Shim {
    pub fn spawn(role: &str, id: &str) -> Self {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("socketpair");
        let process =
            Command::new(shim_binary()).args([role, id]).stdin(Stdio::from(theirs)).spawn().expect("spawn gorae-shim");
        Self { process, line: Line::new(ours) }
    }
}

/// Directories and names of one container under test, and the requests for it.
pub struct Bench {
    pub dir: tempfile::TempDir,
    /// The run directory, on tmpfs as /run is.
    run: tempfile::TempDir,
    pub id: String,
    pub start: Start,
}

impl Bench {
    /// A container that runs `args` in a busybox root, as the daemon would request it.
    pub fn new(args: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("gorae-shim-").tempdir().expect("temp dir");
        let id = unique("ctr");
        let run = tempfile::Builder::new().prefix("gorae-shim-run-").tempdir_in("/dev/shm").expect("temp dir");
        fs::create_dir(dir.path().join("root")).expect("make dir");
        let start = default_start(dir.path(), run.path(), &id, args);
        make_layer(&dir.path().join("layer"));
        Self { dir, run, id, start }
    }

    pub fn sh(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix("run") {
            Some(rest) => self.run.path().join(rest.trim_start_matches('/')),
            None => self.dir.path().join(name),
        }
    }

    pub fn process(&mut self) -> &mut Process {
        self.start.process.as_mut().expect("set in new")
    }

    pub fn resources(&mut self) -> &mut Resources {
        self.start.resources.get_or_insert_default()
    }

    pub fn bind(&mut self, source: &Path, destination: &str) -> &mut Mount {
        self.start.mounts.push(Mount {
            destination: destination.into(),
            source: source.display().to_string(),
            filesystem: "bind".into(),
            recursive_bind: true,
            create_source: true,
            ..Mount::default()
        });
        self.start.mounts.last_mut().expect("just pushed")
    }

    /// Starts it and expects success.
    pub fn run(self) -> Running {
        self.try_run().unwrap_or_else(|(failure, _)| panic!("start failed: {}", failure.message))
    }

    /// Starts it with or without the device program of an earlier start; returns the one that its shim has loaded.
    pub fn run_sharing(mut self, program: Option<&OwnedFd>) -> (Running, Option<OwnedFd>) {
        self.start.device_program = program.is_some();
        let descriptors: Vec<_> = program.iter().map(|program| program.as_fd()).collect();
        let started = self.try_run_with(&descriptors);
        started.unwrap_or_else(|(failure, _)| panic!("start failed: {}", failure.message))
    }

    #[allow(clippy::result_large_err)] // The bench is returned to check what is left.
    pub fn try_run(self) -> Result<Running, (Failure, Bench)> {
        self.try_run_with(&[]).map(|(running, _)| running)
    }

    #[allow(clippy::result_large_err)]
    fn try_run_with(self, descriptors: &[BorrowedFd<'_>]) -> Result<(Running, Option<OwnedFd>), (Failure, Bench)> {
        let mut shim = Shim::spawn("container", &self.id);
        let (body, mut sent) = shim.line.ask_with(request::Verb::Start(self.start.clone()), descriptors);
        match body {
            reply::Body::Started(started) => {
                assert_eq!(sent.len(), usize::from(started.device_program), "descriptors with the reply");
                let state = started.state.expect("state in Started");
                Ok((Running { bench: self, shim: Some(shim), state, reaped: false }, sent.pop()))
            }
            reply::Body::Failure(failure) => {
                let _ = shim.process.wait();
                Err((failure, self))
            }
            other => panic!("unexpected reply {other:?}"),
        }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// The output of the process: the log's contents without times and tags.
    pub fn output(&self, stream: &str) -> String {
        let mark = format!(" {stream} ");
        let mut out = String::new();
        for line in self.log().lines() {
            if let Some((_, rest)) = line.split_once(&mark) {
                let (tag, content) = rest.split_once(' ').expect("tag and content");
                out.push_str(content);
                if tag == "F" {
                    out.push('\n');
                }
            }
        }
        out
    }

    pub fn state_on_disk(&self) -> ContainerState {
        gorae_shim::state::read(&self.path("run")).expect("readable").expect("a good state record")
    }

    pub fn cgroup_dirs(&self) -> Vec<PathBuf> {
        let place = self.start.cgroup.as_ref().expect("set in new");
        let layout = place.layout.as_ref().expect("set in new");
        let mounts = layout.v1.iter().map(|h| h.mount_point.clone()).chain([layout.unified.clone()]);
        mounts.map(|m| PathBuf::from(format!("{m}{}", place.path))).filter(|d| d.exists()).collect()
    }

    /// A file of the container's cgroup, in whichever hierarchy its controller is.
    pub fn cgroup_file(&self, name: &str) -> Option<String> {
        let file = self.cgroup_dirs().into_iter().map(|d| d.join(name)).find(|f| f.exists())?;
        Some(fs::read_to_string(file).expect("read cgroup file").trim_end().to_owned())
    }

    /// Asserts that nothing of the container is left: no cgroup, no mount, no process that names it.
    pub fn assert_clean(&self) {
        assert_eq!(self.cgroup_dirs(), Vec::<PathBuf>::new(), "cgroups left");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        for name in ["run", "root", "layer"] {
            assert!(!mounts.contains(&self.path(name).display().to_string()), "mounts left:\n{mounts}");
        }
        assert!(!self.path("run/shim.sock").exists(), "socket left");
        assert!(!self.path("run/state.tmp").exists(), "a temporary record is left");
        assert_eq!(processes_with(&self.id), Vec::<String>::new(), "processes left");
    }
}

/// A pod that the shim's own `setup-pod` made, cleaned up on drop.
pub struct Pod {
    pub dir: tempfile::TempDir,
    id: String,
    cgroup: CgroupPlace,
}

impl Pod {
    pub fn new(change: impl FnOnce(&mut SetupPod)) -> Self {
        let (dir, id) = (tempfile::Builder::new().prefix("gorae-pod-").tempdir().expect("temp dir"), unique("pod"));
        let cgroup = CgroupPlace { layout: Some(layout()), path: format!("/gorae-shim-test/{id}") };
        let mut setup = SetupPod {
            pod_id: id.clone(),
            run_dir: dir.path().display().to_string(),
            hostname: "box".into(),
            own_net: true,
            own_ipc: true,
            own_uts: true,
            cgroup: Some(cgroup.clone()),
            ..SetupPod::default()
        };
        change(&mut setup);
        let pod = Self { dir, id, cgroup };
        match pod.ask("setup-pod", request::Verb::SetupPod(setup)) {
            reply::Body::PodReady(_) => pod,
            other => panic!("setup-pod: {other:?}"),
        }
    }

    fn ask(&self, role: &str, verb: request::Verb) -> reply::Body {
        let mut shim = Shim::spawn(role, &self.id);
        let answer = shim.line.ask(verb).0;
        shim.process.wait().expect("wait for shim");
        answer
    }

    /// Puts a container into this pod.
    pub fn adopt(&self, bench: &mut Bench) {
        for namespace in &mut bench.start.namespaces {
            let name = namespace.kind().as_str_name().to_lowercase();
            let pin = self.dir.path().join("ns").join(name);
            if pin.exists() {
                namespace.path = pin.display().to_string();
            }
        }
        let place = bench.start.cgroup.as_mut().expect("set in new");
        place.path = format!("{}/{}", self.cgroup.path, bench.id);
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let clean = CleanPod {
            pod_id: self.id.clone(),
            run_dir: self.dir.path().display().to_string(),
            cgroup: Some(self.cgroup.clone()),
            ..CleanPod::default()
        };
        let answer = self.ask("clean-pod", request::Verb::CleanPod(clean));
        assert!(matches!(answer, reply::Body::Done(_)) || std::thread::panicking(), "clean-pod: {answer:?}");
    }
}

/// A started container.
pub struct Running {
    pub bench: Bench,
    pub shim: Option<Shim>,
    pub state: ContainerState,
    reaped: bool,
}

impl Running {
    pub fn line(&mut self) -> &mut Line {
        &mut self.shim.as_mut().expect("connected").line
    }

    pub fn ask(&mut self, verb: request::Verb) -> reply::Body {
        self.line().ask(verb).0
    }

    pub fn done(&mut self, verb: request::Verb) {
        match self.ask(verb) {
            reply::Body::Done(_) => {}
            other => panic!("expected Done: {other:?}"),
        }
    }

    /// Waits for the EXITED push, checks it against the record on disk, and waits for the shim to exit.
    pub fn wait(&mut self) -> ContainerState {
        let state = loop {
            match self.line().next_push().expect("a push before the end") {
                push::Body::State(state) if state.phase() == container_state::Phase::Exited => break state,
                _ => {}
            }
        };
        assert_eq!(self.bench.state_on_disk(), state, "the record is written before the push");
        while self.line().next_push().is_some() {}
        let shim = self.shim.as_mut().expect("connected");
        assert!(shim.process.wait().expect("wait for shim").success());
        self.reaped = true;
        self.bench.assert_clean();
        state
    }

    /// Runs a command in the container until it ends; returns its exit, stdout and stderr.
    pub fn exec(&mut self, args: &[&str]) -> (ExecExited, String, String) {
        self.exec_with(exec_of(args))
    }

    pub fn exec_with(&mut self, exec: Exec) -> (ExecExited, String, String) {
        let started = self.begin_exec(exec);
        let (out, err) = started.unwrap_or_else(|f| panic!("exec failed: {}", f.message));
        let exited = self.wait_exec();
        (exited, drain(out), drain(err))
    }

    pub fn begin_exec(&mut self, exec: Exec) -> Result<(OwnedFd, OwnedFd), Failure> {
        let (out, child_out) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let (err, child_err) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("pipe");
        let verb = request::Verb::Exec(Exec { stdout: true, stderr: true, ..exec });
        match self.line().ask_with(verb, &[child_out.as_fd(), child_err.as_fd()]).0 {
            reply::Body::ExecStarted(_) => Ok((out, err)),
            reply::Body::Failure(failure) => Err(failure),
            other => panic!("unexpected reply {other:?}"),
        }
    }

    pub fn wait_exec(&mut self) -> ExecExited {
        loop {
            match self.line().next_push().expect("a push") {
                push::Body::ExecExited(exited) => return exited,
                push::Body::State(_) => {}
            }
        }
    }

    pub fn kill(&mut self) -> ContainerState {
        self.done(request::Verb::Stop(Stop { signal: 9, grace_ms: 0 }));
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // A test has failed half-way: leave nothing behind.
        let place = checked(self.bench.start.cgroup.clone().expect("set in new"));
        let _ = gorae_shim::cgroup::kill(&place);
        if let Some(shim) = &mut self.shim {
            let _ = shim.process.wait();
        }
        let _ = gorae_shim::cgroup::remove(&place);
    }
}

/// A cgroup as the shim sees it.
pub fn checked(place: CgroupPlace) -> gorae_shim::cgroup::Place {
    gorae_shim::cgroup::Place::checked(place).expect("a good place")
}

/// A command for [`Running::exec_with`] and [`Running::begin_exec`].
pub fn exec_of(args: &[&str]) -> Exec {
    Exec { args: words(args), ..Exec::default() }
}

/// Reads a pipe to its end.
pub fn drain(fd: OwnedFd) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut fs::File::from(fd), &mut text).expect("read pipe");
    text
}

/// Polls until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Command lines of processes that contain `needle`, except for this test's own.
pub fn processes_with(needle: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    entries
        .filter(|e| e.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter(|e| e.file_name().to_string_lossy() != own)
        .filter_map(|e| fs::read(e.path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(needle))
        .collect()
}

pub fn words(args: &[&str]) -> Vec<Vec<u8>> {
    args.iter().map(|a| a.as_bytes().to_vec()).collect()
}

/// Debian's static busybox as `make setup` unpacks it, or the installed one if that build directory does not exist.
fn busybox() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the checkout");
    let unpacked = checkout.join("build/busybox-static/bin/busybox");
    if unpacked.exists() { unpacked } else { "/bin/busybox".into() }
}

/// Makes a root directory with only a static busybox and a user database.
pub fn make_layer(layer: &Path) {
    for dir in ["bin", "etc", "tmp"] {
        fs::create_dir_all(layer.join(dir)).expect("make dir");
    }
    fs::copy(busybox(), layer.join("bin/busybox")).expect("copy busybox");
    for applet in [
        "sh", "cat", "echo", "sleep", "true", "false", "id", "ls", "mount", "stat", "readlink", "grep", "dd", "env",
        "pwd", "hostname", "touch", "mkdir", "rm", "kill", "ps", "stty", "tty", "mknod", "umask", "head", "tail",
        "printf", "wc", "nproc", "seq", "test", "setsid", "umount", "chmod", "ln", "date",
    ] {
        symlink("busybox", layer.join("bin").join(applet)).expect("link");
    }
    fs::write(layer.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nbob:x:1000:100::/home/bob:/bin/sh\n")
        .expect("write");
    fs::write(layer.join("etc/group"), "root:x:0:\nusers:x:100:\nwheel:x:10:bob\n").expect("write");
    fs::set_permissions(layer.join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("chmod");
}

/// The cgroup layout of this machine.
pub fn layout() -> CgroupLayout {
    let mut layout = CgroupLayout::default();
    for line in fs::read_to_string("/proc/mounts").expect("mounts").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[2] {
            "cgroup2" => layout.unified = fields[1].into(),
            "cgroup" => {
                let known = ["cpu", "cpuacct", "cpuset", "memory", "pids", "hugetlb", "devices", "freezer", "blkio"];
                let controllers: Vec<String> = fields[3]
                    .split(',')
                    .filter(|o| known.contains(o) || o.starts_with("name="))
                    .map(str::to_owned)
                    .collect();
                if !controllers.is_empty() {
                    layout.v1.push(V1Hierarchy { mount_point: fields[1].into(), controllers });
                }
            }
            _ => {}
        }
    }
    let controllers = fs::read_to_string(format!("{}/cgroup.controllers", layout.unified)).unwrap_or_default();
    layout.unified_has_controllers = controllers.split_whitespace().any(|c| c == "memory");
    if layout.unified_has_controllers {
        layout.v1.clear();
    }
    layout
}

fn filesystem(destination: &str, filesystem: &str, data: &str) -> Mount {
    let (destination, filesystem, data) = (destination.into(), filesystem.into(), data.into());
    Mount { destination, filesystem, data, nosuid: true, noexec: true, nodev: true, ..Mount::default() }
}

/// The capabilities that a container gets by default: the bits of the usual fourteen.
pub const DEFAULT_CAPABILITIES: u64 = 0xa804_25fb;

fn default_start(dir: &Path, run: &Path, id: &str, args: &[&str]) -> Start {
    let path = |name: &str| dir.join(name).display().to_string();
    let namespace = |kind: namespace::Kind| Namespace { kind: kind.into(), ..Namespace::default() };
    let caps = DEFAULT_CAPABILITIES;
    Start {
        container_id: id.into(),
        run_dir: run.display().to_string(),
        root_dir: path("root"),
        rootfs: Some(Rootfs { layers: vec![path("layer")], ..Rootfs::default() }),
        process: Some(Process {
            args: words(args),
            env: words(&["PATH=/usr/bin:/bin", "HOSTNAME=box", "CONTAINER=test"]),
            cwd: "/".into(),
            user: Some(User::default()),
            capabilities: Some(Capabilities {
                bounding: caps,
                effective: caps,
                permitted: caps,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        namespaces: [
            namespace::Kind::Pid,
            namespace::Kind::Mount,
            namespace::Kind::Net,
            namespace::Kind::Ipc,
            namespace::Kind::Uts,
        ]
        .map(namespace)
        .to_vec(),
        mounts: vec![
            filesystem("/proc", "proc", ""),
            Mount { noexec: false, nodev: false, ..filesystem("/dev", "tmpfs", "mode=755,size=65536k") },
            Mount { nodev: false, ..filesystem("/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5") },
            filesystem("/dev/mqueue", "mqueue", ""),
            filesystem("/dev/shm", "tmpfs", "mode=1777,size=65536k"),
            Mount { readonly: true, ..filesystem("/sys", "sysfs", "") },
            Mount { readonly: true, ..filesystem("/sys/fs/cgroup", "cgroup", "") },
        ],
        masked_paths: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
            .map(String::from)
            .to_vec(),
        readonly_paths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
            .map(String::from)
            .to_vec(),
        cgroup: Some(CgroupPlace { layout: Some(layout()), path: format!("/gorae-shim-test/{id}") }),
        log_path: path("log"),
        private_cgroup_namespace: true,
        ..Start::default()
    }
}
