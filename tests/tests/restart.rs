// SPDX-License-Identifier: Apache-2.0
//! The daemon dies and comes back: no container notices.

use gorae_proto::cri::{ContainerEventType, ContainerState, ContainerStatus, GetEventsRequest, PodSandboxState};
use gorae_tests::registry::Registry;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node, on_a_node_for, rounds, web};
use nix::sys::signal::Signal;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[test]
fn after_a_kill_everything_is_as_it_was() {
    on_a_node(async |node| {
        let pod = node.pod("kept").port(12_400, 80).label("a", "b").run().await;
        let www = node.directory("www");
        std::fs::write(www.join("index.html"), "page").unwrap();
        let server = pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www");
        let server = server.start().await;
        let created = pod.container("created").image(TINY).create().await;
        let exited = pod.container("exited").image(TINY).args(["exit", "3"]).start().await;
        exited.ended().await;
        let before = (pod.status().await, server.status().await, created.status().await, exited.status().await);
        let images = node.cri().list_images().await.unwrap();
        node.kill_and_restart().await;
        let after = (pod.status().await, server.status().await, created.status().await, exited.status().await);
        assert_eq!(before, after);
        assert_eq!(node.cri().list_images().await.unwrap(), images);
        assert_eq!(web::get_soon("127.0.0.1:12400", "/").await, (200, "page".into()));
        assert_eq!(server.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        created.start().await;
        assert_eq!(created.status().await.state(), ContainerState::ContainerRunning);
        server.stop(5).await;
        assert_eq!(server.status().await.exit_code, 0);
        assert!(server.stdout().iter().any(|line| line.starts_with("GET /")));
    });
}

#[test]
fn an_exit_while_the_daemon_is_away_is_told_with_its_code() {
    on_a_node(async |node| {
        let pod = node.pod("away").run().await;
        let script = "echo begun; sleep 0.3; echo done; exit 33";
        let container = pod.container("c").script(script).start().await;
        node.daemon().kill();
        tokio::time::sleep(Duration::from_millis(700)).await;
        node.restart().await;
        let status = container.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (33, "Error"));
        assert!(status.finished_at > status.started_at);
        assert_eq!(container.stdout(), ["begun", "done"]);
    });
}

#[test]
fn a_shim_that_is_killed_ends_its_container_and_nothing_else() {
    on_a_node(async |node| {
        let pod = node.pod("shim").run().await;
        let lost = pod.container("lost").image(TINY).start().await;
        let kept = pod.container("kept").image(TINY).start().await;
        let init = lost.info().await["pid"].as_i64().expect("info has the process id");
        let shim = shim_of(init);
        kill(shim);
        let status = lost.ended().await;
        assert_ne!(status.exit_code, 0);
        assert!(!Path::new(&format!("/proc/{init}/stat")).exists(), "the process goes with its shim");
        assert_eq!(kept.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxReady);
        lost.remove().await;
    });
}

/// The shim of a container whose first process is `init`.
fn shim_of(init: i64) -> i32 {
    let shim = gorae_tests::place::parent_of(u32::try_from(init).expect("a process id"));
    i32::try_from(shim).expect("a process id")
}

/// A stopped shim whose queue of connections is full: one more is refused, and its container is well.
struct Crowded {
    shim: i32,
    queue: Vec<OwnedFd>,
}

impl Crowded {
    fn new(node: &Node, container: &Container, init: i64) -> Self {
        let shim = shim_of(init);
        signal(shim, Signal::SIGSTOP);
        // Through a descriptor: the path may be too long for an address.
        let dir =
            File::open(node.daemon().state().join("containers").join(container.id())).expect("the directory is there");
        let address =
            SocketAddrUnix::new(format!("/proc/self/fd/{}/shim.sock", dir.as_raw_fd())).expect("short enough");
        let mut queue = Vec::new();
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a socket");
            match connect(&socket, &address) {
                Ok(()) => queue.push(socket),
                Err(Errno::AGAIN) => return Self { shim, queue },
                Err(errno) => panic!("connect to the shim: {errno}"),
            }
        }
    }

    /// The queue is taken off, and the shim goes on.
    fn disperse(&mut self) {
        self.queue.clear();
        signal(self.shim, Signal::SIGCONT);
    }
}

/// Restarts the daemon and waits until it has tried to reach the shim, and could not.
async fn restart_beside(node: &Node, container: &Container) {
    node.kill_and_restart().await;
    let begun = Instant::now();
    while !node.daemon().log().contains("cannot reach the container's shim") {
        assert_eq!(container.status().await.state(), ContainerState::ContainerRunning);
        assert!(begun.elapsed() < Duration::from_secs(20), "goraed said:\n{}", node.daemon().log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_container_whose_shim_takes_no_connection_now_is_not_taken_for_lost() {
    on_a_node(async |node| {
        let pod = node.pod("crowded").run().await;
        let container = pod.container("c").image(TINY).start().await;
        let init = container.info().await["pid"].as_i64().expect("info has the process id");
        let mut crowd = Crowded::new(node, &container, init);
        restart_beside(node, &container).await;
        crowd.disperse();
        let begun = Instant::now();
        while let Err(status) = container.try_exec(["/tiny", "echo", "hi"], 30).await {
            assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "the daemon does not find the shim: {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(container.info().await["pid"].as_i64(), Some(init));
        container.stop(5).await;
        assert_eq!(container.status().await.exit_code, 0);
    });
}

#[test]
fn a_container_whose_shim_cannot_be_reached_is_stopped_from_outside() {
    on_a_node(async |node| {
        let pod = node.pod("unreached").run().await;
        let script = "trap 'exit 5' TERM; while :; do sleep 0.01; done";
        let asked = pod.container("asked").script(script).start().await;
        let killed = pod.container("killed").image(TINY).start().await;
        let mut crowds = Vec::new();
        for container in [&asked, &killed] {
            let init = container.info().await["pid"].as_i64().expect("info has the process id");
            crowds.push(Crowded::new(node, container, init));
        }
        restart_beside(node, &asked).await;
        asked.stop(60).await;
        killed.stop(0).await;
        let (asked, killed) = (asked.status().await, killed.status().await);
        assert_eq!((asked.exit_code, asked.reason.as_str()), (5, "Error"), "{}", asked.message);
        assert_eq!((killed.exit_code, killed.reason.as_str()), (137, "Error"), "{}", killed.message);
        assert!(killed.message.contains("did not answer"), "{}", killed.message);
    });
}

#[test]
fn the_daemon_ends_within_five_seconds_with_open_streams() {
    on_a_node(async |node| {
        let pod = node.pod("drain").run().await;
        let container = pod.container("c").script("sleep 1000").start().await;
        let events = node.cri().runtime().get_container_events(GetEventsRequest {}).await;
        let waiting = container.clone();
        let exec = tokio::spawn(async move { waiting.try_exec(["sleep", "600"], 0).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        node.terminate().expect("it ends in time, with success");
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(exec.await.unwrap().is_err());
        drop(events);
        node.restart().await;
        assert_eq!(container.status().await.state(), ContainerState::ContainerRunning);
    });
}

/// Every file of the directories that has a container's or pod's id in its path.
fn records_of(directories: &[PathBuf], id: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, id: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("the file system knows types");
            if kind.is_dir() {
                walk(&path, id, found);
            } else if kind.is_file() && path.to_string_lossy().contains(id) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for directory in directories {
        walk(directory, id, &mut found);
    }
    found
}

#[test]
fn a_malformed_record_loses_that_object_only() {
    on_a_node(async |node| {
        let pod = node.pod("torn").run().await;
        let spoilt = pod.container("spoilt").image(TINY).create().await;
        let kept = pod.container("kept").image(TINY).start().await;
        let root = [node.daemon().root()];
        let records = records_of(&root, spoilt.id());
        assert!(!records.is_empty(), "a created container has a record on disk");
        node.daemon().kill();
        for record in &records {
            let mut bytes = std::fs::read(record).unwrap();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0xff;
            }
            std::fs::write(record, bytes).unwrap();
        }
        node.restart().await;
        assert_eq!(kept.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxReady);
        assert_eq!(spoilt.try_status().await.unwrap_err().code(), tonic::Code::NotFound);
        assert!(node.daemon().log().contains(&spoilt.id()[..12]), "the log says which object is lost");
        let kept_aside = node.daemon().root().join("damaged");
        assert!(
            !records_of(std::slice::from_ref(&kept_aside), spoilt.id()).is_empty(),
            "for a person who can repair it"
        );
        std::fs::remove_dir_all(kept_aside).unwrap();
    });
}

/// The runs of digits at the starts of the files `cgroup.procs` below a directory.
fn processes_below(directory: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(processes_below(&path));
        } else if entry.file_name() == "cgroup.procs" {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            found.extend(text.lines().map(str::to_owned));
        }
    }
    found
}

#[test]
fn processes_of_a_container_without_record_and_shim_are_ended_wherever_they_are() {
    on_a_node(async |node| {
        // What kubelet does before it asks for the pod.
        let parents: Vec<_> =
            gorae_tests::leaks::hierarchies().iter().map(|place| place.join("kube/burstable/pod1")).collect();
        for parent in &parents {
            std::fs::create_dir_all(parent).unwrap();
        }
        let parent = |c: &mut gorae_proto::cri::PodSandboxConfig| {
            c.linux.as_mut().expect("set").cgroup_parent = "/kube/burstable/pod1".into();
        };
        let pod = node.pod("lost").with(parent).run().await;
        let lost = pod.container("lost").image(TINY).args(["stubborn"]).start().await;
        let kept = pod.container("kept").image(TINY).args(["sleep"]).start().await;
        let init = lost.info().await["pid"].as_i64().expect("info has the process id");
        let shim = shim_of(init);
        node.daemon().kill();
        kill(shim);
        std::fs::write(node.daemon().root().join("containers").join(lost.id()).join("record"), "rubbish").unwrap();
        assert!(Path::new(&format!("/proc/{init}/stat")).exists(), "nothing has ended it yet");
        node.restart().await;
        let begun = Instant::now();
        while Path::new(&format!("/proc/{init}/stat")).exists() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the container still runs");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(kept.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        pod.remove().await;
        std::fs::remove_dir_all(node.daemon().root().join("damaged")).unwrap();
        for parent in &parents {
            assert_eq!(processes_below(parent), Vec::<String>::new());
            for group in parent.ancestors().take(3) {
                std::fs::remove_dir(group).expect("nothing is left in it");
            }
        }
    });
}

#[test]
fn a_container_that_was_never_started_is_still_created_when_its_pod_was_stopped() {
    on_a_node(async |node| {
        let pod = node.pod("stopped").run().await;
        let (created, ran) =
            (pod.container("created").image(TINY), pod.container("ran").image(TINY).args(["exit", "3"]));
        let (created, ran) = (created.create().await, ran.start().await);
        ran.ended().await;
        pod.stop().await;
        let before = (created.status().await, ran.status().await);
        assert_eq!(before.0.state(), ContainerState::ContainerCreated);
        node.kill_and_restart().await;
        assert_eq!((created.status().await, ran.status().await), before);
        assert_eq!(created.try_start().await.unwrap_err().code(), tonic::Code::FailedPrecondition);
        created.stop(0).await;
        created.remove().await;
    });
}

/// Makes an object an hour younger on disk, as if the clock had been set back since.
fn make_younger(record: &Path, kind: &str) -> i64 {
    let bytes = std::fs::read(record).expect("the record is read");
    let body = gorae_kernel::checked::decode(kind, 1, &bytes).expect("a whole record").body;
    let mut value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let future = value["created_at"].as_i64().expect("it has its time") + 3_600_000_000_000;
    value["created_at"] = future.into();
    std::fs::write(record, gorae_kernel::checked::encode(kind, 1, &serde_json::to_vec(&value).expect("JSON")))
        .expect("the file is written");
    future
}

#[test]
fn the_next_attempt_is_the_youngest_also_when_the_clock_was_set_back_meanwhile() {
    on_a_node(async |node| {
        let pod = node.pod("clock").run().await;
        let container = pod.container("c").image(TINY).create().await;
        let root = node.daemon().root();
        node.daemon().kill();
        let of_pod = make_younger(&root.join("pods").join(pod.id()).join("record"), "pod");
        let of_container = make_younger(&root.join("containers").join(container.id()).join("record"), "container");
        node.restart().await;
        assert_eq!((pod.status().await.created_at, container.status().await.created_at), (of_pod, of_container));
        let next = pod.container("c").image(TINY).with(|c| c.metadata.get_or_insert_default().attempt = 1);
        assert!(next.create().await.status().await.created_at > of_container);
        let next = node.pod("clock").with(|c| c.metadata.get_or_insert_default().attempt = 1).run().await;
        assert!(next.status().await.created_at > of_pod);
    });
}

async fn shared_pod(node: &Node, name: &str) -> (Pod, Container, i32) {
    let pod = node.pod(name).port(12_403, 80).shared_processes().run().await;
    let mut config = pod.config().clone();
    let options = gorae_tests::pod::namespaces(&mut config).clone();
    let container = pod.container("c").script("sleep 1000").security(|s| s.namespace_options = Some(options)).start();
    let container = container.await;
    let init = pod.info().await["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("the pod has an init");
    (pod, container, init)
}

fn kill(pid: i32) {
    signal(pid, Signal::SIGKILL);
}

fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it runs");
}

async fn is_not_ready(pod: &Pod) {
    let begun = Instant::now();
    while pod.status().await.state() == PodSandboxState::SandboxReady {
        assert!(begun.elapsed() < Duration::from_secs(5), "the pod is still ready");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_pod_whose_init_dies_is_not_ready_and_its_containers_have_ended() {
    on_a_node(async |node| {
        let (pod, container, init) = shared_pod(node, "orphaned").await;
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        kill(init);
        is_not_ready(&pod).await;
        assert_eq!(container.ended().await.exit_code, 137);
        let mut told = Vec::new();
        while told.len() < 2 {
            let event = tokio::time::timeout(Duration::from_secs(5), events.message()).await;
            let event = event.expect("two events").unwrap().expect("the stream goes on");
            assert_eq!(event.container_event_type(), ContainerEventType::ContainerStoppedEvent);
            told.push(event.container_id);
        }
        assert_eq!(told, [container.id(), pod.id()]);
        drop(events);
        // kubelet's next steps: both are nothing new.
        pod.stop().await;
        let next = node.pod("orphaned").with(|c| c.metadata.as_mut().expect("set").attempt = 1).port(12_403, 80).run();
        assert_eq!(next.await.status().await.state(), PodSandboxState::SandboxReady);
    });
}

#[test]
fn a_pod_whose_init_dies_after_a_restart_of_the_daemon_or_while_it_is_away_is_not_ready() {
    on_a_node(async |node| {
        let (pod, container, init) = shared_pod(node, "later").await;
        node.kill_and_restart().await;
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxReady);
        kill(init);
        is_not_ready(&pod).await;
        assert_eq!(container.ended().await.exit_code, 137);
        pod.remove().await;

        let (pod, container, init) = shared_pod(node, "away").await;
        node.daemon().kill();
        kill(init);
        node.restart().await;
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready, "from the first answer on");
        assert_eq!(container.ended().await.exit_code, 137);
    });
}

/// What a restart of the machine does to a node: everything that runs is gone, and so is the state directory.
fn restart_the_machine(node: &Node, running: &[i64]) {
    node.daemon().kill();
    for &init in running {
        kill(shim_of(init));
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(init.try_into().expect("a pid")), Signal::SIGKILL);
    }
    let state = node.daemon().state();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    for place in places.filter(|place| place.starts_with(&state)).collect::<Vec<_>>().into_iter().rev() {
        nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH).expect("unmounted");
    }
    for name in ["pods", "containers"] {
        std::fs::remove_dir_all(state.join(name)).expect("removed");
    }
}

#[test]
fn what_ended_before_the_machine_was_restarted_keeps_its_end_and_what_ran_is_unknown() {
    on_a_node(async |node| {
        let pod = node.pod("job").run().await;
        let create =
            async |name: &str, args: &[&str]| pod.container(name).image(TINY).args(args.iter().copied()).create().await;
        let (done, failed) = (create("done", &["exit", "0"]).await, create("failed", &["exit", "7"]).await);
        let killed = create("killed", &["sleep"]).await;
        for container in [&done, &failed, &killed] {
            container.start().await;
        }
        killed.stop(0).await;
        let never = pod.container("never").image(TINY).command(["/no/such/program"]).create().await;
        never.try_start().await.expect_err("there is no such program");
        let away = pod.container("away").script("sleep 0.3; exit 33").start().await;
        node.daemon().kill();
        tokio::time::sleep(Duration::from_millis(700)).await;
        node.restart().await;
        let created = create("created", &["sleep"]).await;
        let running = pod.container("running").image(TINY).args(["sleep"]).start().await;
        let init = running.info().await["pid"].as_i64().expect("info has the process id");
        let mut before = Vec::new();
        for container in [&done, &failed, &killed, &never, &away] {
            before.push(container.ended().await);
        }
        let codes: Vec<_> = before.iter().map(|s| (s.exit_code, s.reason.as_str())).collect();
        let named = [(0, "Completed"), (7, "Error"), (137, "Error"), (128, "StartError"), (33, "Error")];
        assert_eq!(codes, named);
        restart_the_machine(node, &[init]);
        for _ in 0..2 {
            node.restart().await;
            for (container, before) in [&done, &failed, &killed, &never, &away].into_iter().zip(&before) {
                assert_eq!(&container.status().await, before);
            }
            let lost = running.status().await;
            assert_eq!((lost.state(), lost.exit_code), (ContainerState::ContainerExited, 255), "{lost:?}");
            assert_eq!(lost.reason, "Unknown");
            assert!(lost.message.contains("restarted"), "{lost:?}");
            assert_eq!(created.status().await.state(), ContainerState::ContainerCreated);
            assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready);
            node.daemon().kill();
        }
        // What a power cut leaves of a file that was not synced.
        for (container, left) in [(&done, 0), (&failed, 60)] {
            let end = node.daemon().root().join("containers").join(container.id()).join("end");
            File::options().write(true).open(end).and_then(|file| file.set_len(left)).expect("cut off");
        }
        node.restart().await;
        for container in [&done, &failed] {
            let status = container.status().await;
            assert_eq!((status.exit_code, status.reason.as_str()), (255, "Unknown"), "{status:?}");
        }
        assert_eq!(killed.status().await, before[2]);
    });
}

#[test]
fn a_second_daemon_does_not_take_the_socket_of_the_first() {
    on_a_node(async |node| {
        let place = node.directory("second");
        let start = |listen: &Path| {
            let mut daemon = std::process::Command::new(gorae_tests::place::binary("goraed"));
            daemon.arg("--root").arg(place.join("root")).arg("--state").arg(place.join("state"));
            daemon.arg("--listen").arg(format!("unix://{}", listen.display())).output().unwrap()
        };
        let refused = start(&node.daemon().socket());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("another goraed uses"), "{said}");
        let foreign = place.join("foreign.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&foreign).unwrap();
        let refused = start(&foreign);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("another program listens on"), "{said}");
        assert!(node.cri().list_pods().await.unwrap().is_empty(), "the first one serves as before");
    });
}

#[test]
fn a_second_daemon_over_the_same_root_is_refused_and_touches_nothing_of_the_first() {
    on_a_node(async |node| {
        let www = node.directory("www");
        std::fs::write(www.join("index.html"), "page").unwrap();
        let pod = node.pod("web").port(12_403, 80).run().await;
        let server = pod.container("c").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www");
        server.start().await;
        assert_eq!(web::get_soon("127.0.0.1:12403", "/").await, (200, "page".into()));
        let (root, place) = (node.daemon().root(), node.directory("second"));
        // What the first one may be in the middle of: a pod's intent, a container's directory.
        let (pods, containers) = (root.join("pods").join("5".repeat(64)), root.join("containers").join("7".repeat(64)));
        std::fs::create_dir(&pods).unwrap();
        std::fs::write(pods.join("record.new"), "half").unwrap();
        std::fs::create_dir(&containers).unwrap();
        let mut second = std::process::Command::new(gorae_tests::place::binary("goraed"));
        let refused = second.arg("--root").arg(&root).arg("--state").arg(&place).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let why = format!("another goraed uses {}; stop it or pass a different --root", root.display());
        assert!(!refused.status.success() && said.contains(&why), "{said}");
        assert!(pods.join("record.new").exists() && containers.exists(), "{said}");
        assert_eq!(web::get("127.0.0.1:12403", "/").await.expect("its host ports are open"), (200, "page".into()));
        std::fs::remove_dir_all(pods).and_then(|()| std::fs::remove_dir(containers)).unwrap();
    });
}

#[test]
fn two_daemons_run_side_by_side() {
    on_a_node(async |node| {
        let config = "[network]\nbridge = \"second0\"\n";
        let other = Node::start_with(Registry::with_own_images().unwrap(), config).await.unwrap();
        let (a, b) = (node.pod("same").port(12_401, 80).run().await, other.pod("same").port(12_402, 80).run().await);
        assert_ne!(a.id(), b.id());
        assert_ne!(a.address().await, b.address().await);
        for (node, pod, port) in [(node, &a, 12_401), (&other, &b, 12_402)] {
            let www = node.directory("www");
            std::fs::write(www.join("index.html"), port.to_string()).unwrap();
            let server = pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www");
            server.start().await;
            assert_eq!(web::get_soon(&format!("127.0.0.1:{port}"), "/").await.1, port.to_string());
        }
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
        other.sweep().await.unwrap();
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
        assert_eq!(web::get_soon("127.0.0.1:12401", "/").await.1, "12401");
        other.terminate().unwrap();
    });
}

/// How often the daemon is killed.
const KILLS: usize = 200;

/// A container that must never notice, with what it was at the beginning.
struct Witness {
    container: Container,
    before: ContainerStatus,
    init: i64,
}

impl Witness {
    async fn of(pod: &Pod, name: &str, args: &[&str]) -> Witness {
        let container = pod.container(name).image(TINY).args(args.iter().copied()).start().await;
        let init = container.info().await["pid"].as_i64().expect("info has the process id");
        Witness { before: container.status().await, container, init }
    }

    async fn is_unchanged(&self) {
        assert_eq!(self.container.status().await, self.before);
        assert_eq!(self.container.info().await["pid"].as_i64(), Some(self.init));
        assert_eq!(self.container.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
    }
}

/// One pod's life, each call repeated until a daemon lives long enough to answer it. Kubelet does the same.
async fn life(node: &Node, i: usize) {
    let (lines, code) = (i % 50, i % 100);
    let pod = insist(async || node.pod(&format!("short-{i}")).port(13_100, 80).try_run().await).await;
    let builder = pod.container("c").image(TINY).args(["count", &lines.to_string(), &code.to_string()]);
    let container = insist(async || builder.clone().try_create().await).await;
    insist(async || match container.try_start().await {
        // The answer to an earlier try was lost on its way.
        Err(status) if status.code() == tonic::Code::FailedPrecondition => Ok(()),
        other => other,
    })
    .await;
    let ended = loop {
        let status = insist(async || container.try_status().await).await;
        match status.state() {
            ContainerState::ContainerExited => break status,
            // The start never reached the shim.
            ContainerState::ContainerCreated => drop(container.try_start().await),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(ended.exit_code, i32::try_from(code).expect("small"), "{ended:?}");
    let wanted: Vec<_> = (1..=lines).map(|n| format!("line {n}")).collect();
    assert_eq!(container.stdout(), wanted);
    insist(async || pod.try_stop().await).await;
    insist(async || pod.try_remove().await).await;
}

/// Calls until it succeeds, through refused connections and broken streams, for at most 30 seconds.
async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, tonic::Status>) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(value) => return value,
            Err(status) => {
                // A port of the attempt that was killed is free again when the new daemon has settled its debts.
                let settling =
                    status.code() == tonic::Code::AlreadyExists && status.message().contains("is taken by pod");
                let broken = matches!(
                    status.code(),
                    tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled | tonic::Code::Internal
                );
                let passing = settling || broken;
                assert!(passing && begun.elapsed() < Duration::from_secs(30), "{status:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[test]
fn two_hundred_kills_at_random_moments_change_nothing() {
    on_a_node_for(Duration::from_secs(900), async |node| {
        let pod = node.pod("witness").port(13_099, 80).run().await;
        let www = node.directory("www");
        std::fs::write(www.join("index.html"), "still here").unwrap();
        let quiet = Witness::of(&pod, "quiet", &["sleep"]).await;
        let loud = Witness::of(&pod, "loud", &["tick", "2"]).await;
        let server = pod.container("web").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www");
        server.start().await;

        let mut random = 0x5eed_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut killed = 0;
        let mut lives = 0;
        let kills = rounds(KILLS);
        while killed < kills {
            let mut work = std::pin::pin!(life(node, lives));
            loop {
                let pause = Duration::from_micros(500 + next(150_000));
                tokio::select! {
                    () = &mut work => { lives += 1; break; }
                    () = tokio::time::sleep(pause) => {
                        node.daemon().kill();
                        killed += 1;
                        node.daemon().start().unwrap();
                    }
                }
            }
            if lives % 10 == 0 {
                assert_eq!(web::get_soon("127.0.0.1:13099", "/").await.1, "still here");
            }
        }
        node.cri().wait(Duration::from_secs(20)).await.unwrap();
        println!("{killed} kills, {lives} pods lived");
        assert!(lives >= kills / 10, "the daemon never lived long enough to do anything");
        quiet.is_unchanged().await;
        loud.is_unchanged().await;
        loud.container.stop(5).await;
        for (i, line) in loud.container.stdout().iter().enumerate() {
            assert_eq!(*line, format!("tick {}", i + 1), "no line is lost, doubled or torn");
        }
    });
}
