// SPDX-License-Identifier: Apache-2.0
//! File systems that do not answer: what waits for them waits alone.

use gorae_proto::cri::{
    ContainerState, ContainerStatus, GetEventsRequest, ImageFsInfoRequest, ListContainerStatsRequest,
    ListPodSandboxStatsRequest, PodSandbox, PodSandboxState, StatusRequest,
};
use gorae_tests::hung_disk::HungDisk;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node, on_a_node_for};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tonic::Code;

/// Most that is waited for something that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !seen().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A container that writes all the time, into a log that has just stopped answering.
async fn with_a_hung_log(node: &Node, disk: &HungDisk, script: &str) -> (Pod, Container) {
    let pod = node.pod("hung-log").with(|c| c.log_directory = disk.path().display().to_string()).run().await;
    let container = pod.container("c").script(script).start().await;
    disk.hang();
    until("the shim waits for its log", async || disk.waiting() > 0).await;
    (pod, container)
}

#[test]
fn a_container_whose_shim_hangs_in_its_log_is_ended_from_outside() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, container) = with_a_hung_log(node, &disk, "while :; do echo line; sleep 0.01; done").await;
        let init = container.info().await["pid"].as_i64().expect("info has the process id");
        let begun = Instant::now();
        container.stop(0).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        let status = container.status().await;
        assert_eq!(status.state(), ContainerState::ContainerExited);
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "Error"));
        assert!(status.message.contains("did not answer"), "{}", status.message);
        assert!(is_gone(init), "its process goes although the shim cannot reap it");
        pod.remove().await;
        assert_eq!(container.try_status().await.unwrap_err().code(), Code::NotFound);
    });
}

/// True for a process that has ended, reaped or not.
fn is_gone(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[test]
fn a_container_whose_shim_hangs_gets_its_stop_signal_all_the_same() {
    on_a_node(async |node| {
        let (disk, notes) = (HungDisk::mount().unwrap(), node.directory("notes"));
        let script = "trap 'echo asked >/notes/c; exit 0' TERM; while :; do echo line; sleep 0.01; done";
        let pod = node.pod("polite").with(|c| c.log_directory = disk.path().display().to_string()).run().await;
        let container = pod.container("c").script(script).mount(&notes, "/notes").start().await;
        disk.hang();
        until("the shim waits for its log", async || disk.waiting() > 0).await;
        let begun = Instant::now();
        container.stop(60).await;
        assert!(begun.elapsed() < Duration::from_secs(15), "it ended when it was asked: {:?}", begun.elapsed());
        assert_eq!(std::fs::read_to_string(notes.join("c")).unwrap(), "asked\n");
        let status = container.status().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"), "{}", status.message);
        disk.come_back();
        pod.remove().await;
    });
}

#[test]
fn a_container_that_has_ended_by_itself_while_its_shim_hangs_keeps_its_exit_code() {
    on_a_node(async |node| {
        let (disk, notes) = (HungDisk::mount().unwrap(), node.directory("notes"));
        let script = "while [ ! -e /notes/end ]; do echo line; sleep 0.01; done; exit 3";
        let pod = node.pod("early").with(|c| c.log_directory = disk.path().display().to_string()).run().await;
        let container = pod.container("c").script(script).mount(&notes, "/notes").start().await;
        let init = container.info().await["pid"].as_i64().expect("info has the process id");
        disk.hang();
        until("the shim waits for its log", async || disk.waiting() > 0).await;
        std::fs::write(notes.join("end"), "").unwrap();
        until("the process ends", async || is_gone(init)).await;
        container.stop(0).await;
        let status = container.status().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"), "{}", status.message);
        assert!(status.message.contains("ended by itself"), "{}", status.message);
        disk.come_back();
        pod.remove().await;
    });
}

#[test]
fn a_shim_whose_log_is_back_in_time_goes_on_as_if_nothing_had_been() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, container) =
            with_a_hung_log(node, &disk, "trap 'exit 7' TERM; while :; do echo x; sleep 0.01; done").await;
        let stopping = container.clone();
        let stop = tokio::spawn(async move { stopping.try_stop(20).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        disk.come_back();
        stop.await.unwrap().unwrap();
        assert_eq!(container.status().await.exit_code, 7);
        pod.remove().await;
    });
}

/// A container whose start waits for a mount source that does not answer, and that start.
async fn with_a_hung_start(
    node: &Node,
    disk: &HungDisk,
) -> (Pod, Container, tokio::task::JoinHandle<Result<(), tonic::Status>>) {
    let pod = node.pod("hung-start").run().await;
    let source = disk.path().join("data");
    std::fs::write(&source, "x").expect("the file is written");
    let container = pod.container("c").image(TINY).mount(&source, "/data").create().await;
    disk.hang();
    let starting = container.clone();
    let start = tokio::spawn(async move { starting.try_start().await });
    until("the start waits for its mount", async || disk.waiting() > 0).await;
    (pod, container, start)
}

fn is_start_error(status: &ContainerStatus) {
    assert_eq!(status.state(), ContainerState::ContainerExited);
    assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"), "{}", status.message);
    assert!(status.message.contains("stopped before its start was done"), "{}", status.message);
}

#[test]
fn a_stop_gives_a_hanging_start_up_at_once() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, container, start) = with_a_hung_start(node, &disk).await;
        let begun = Instant::now();
        container.stop(30).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(start.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
        is_start_error(&container.status().await);
        container.remove().await;
        // The pod can go while the shim of that start still waits.
        pod.remove().await;
        disk.come_back();
    });
}

#[test]
fn a_pod_with_a_hanging_start_is_stopped_by_a_daemon_that_did_not_ask_for_it() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, container, start) = with_a_hung_start(node, &disk).await;
        node.kill_and_restart().await;
        assert!(start.await.unwrap().is_err(), "its daemon is dead");
        let begun = Instant::now();
        pod.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        is_start_error(&container.status().await);
        disk.come_back();
    });
}

/// A pod, and a mount source on a disk that has just stopped answering.
async fn with_a_hung_source(node: &Node, disk: &HungDisk) -> (Pod, PathBuf) {
    let pod = node.pod("hung-create").run().await;
    let source = disk.path().join("data");
    std::fs::write(&source, "x").expect("the file is written");
    // Pulled while nothing hangs.
    pod.container("warm").image(TINY).create().await.remove().await;
    disk.hang();
    (pod, source)
}

/// How many threads of the daemon look at paths and do not come back.
fn hung_looks(node: &Node) -> usize {
    let tasks = format!("/proc/{}/task", node.daemon().pid().expect("goraed runs"));
    let hangs = |task: &Path| {
        let read = |file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
        read("comm").trim() == "probe" && !read("wchan").contains("futex")
    };
    std::fs::read_dir(tasks)
        .expect("the directory is listed")
        .filter(|task| hangs(&task.as_ref().expect("an entry").path()))
        .count()
}

#[test]
fn a_create_that_waits_for_a_dead_volume_is_joined_by_its_repeats_and_done_when_it_is_back() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, source) = with_a_hung_source(node, &disk).await;
        let create = async || pod.container("c").image(TINY).mount(&source, "/data").try_create().await;
        let error = create().await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert!(error.message().contains("\"c\"") && error.message().contains("mount sources"), "{error:?}");
        let (repeat, ()) = tokio::join!(create(), async {
            // Others are not held up meanwhile.
            pod.container("other").image(TINY).start().await.remove().await;
            assert_eq!(hung_looks(node), 1, "the repeat has joined");
            disk.come_back();
        });
        let container = repeat.unwrap();
        assert_eq!(container.status().await.state(), ContainerState::ContainerCreated);
        container.start().await;
    });
}

#[test]
fn a_daemon_starts_while_a_thread_of_the_killed_one_waits_for_a_dead_volume() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, source) = with_a_hung_source(node, &disk).await;
        let create = pod.container("c").image(TINY).mount(&source, "/data").try_create();
        let (created, ()) = tokio::join!(create, async {
            until("the create waits for its mount source", async || disk.waiting() > 0).await;
            node.daemon().kill_without_waiting();
        });
        assert!(created.is_err(), "its daemon is dead");
        node.restart().await;
        pod.container("other").image(TINY).start().await;
        disk.come_back();
        assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 1, "nothing of the first is there");
    });
}

#[test]
#[ignore = "waits as long as a start may take, which is two minutes"]
fn a_hanging_start_of_an_earlier_daemon_is_given_up_when_its_time_is_over() {
    on_a_node_for(Duration::from_secs(300), async |node| {
        let disk = HungDisk::mount().unwrap();
        let (pod, container, start) = with_a_hung_start(node, &disk).await;
        node.kill_and_restart().await;
        assert!(start.await.unwrap().is_err(), "its daemon is dead");
        let begun = Instant::now();
        while container.status().await.state() != ContainerState::ContainerExited {
            assert!(begun.elapsed() < Duration::from_secs(180), "it is never given up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let status = container.status().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"), "{}", status.message);
        assert!(status.message.contains("did not answer within"), "{}", status.message);
        disk.come_back();
        pod.remove().await;
    });
}

#[test]
fn lists_answer_while_one_container_hangs_in_its_stop_and_one_in_its_start() {
    on_a_node(async |node| {
        let (logs, sources) = (HungDisk::mount().unwrap(), HungDisk::mount().unwrap());
        let (_, stopped) = with_a_hung_log(node, &logs, "while :; do echo line; sleep 0.01; done").await;
        let (_, started, start) = with_a_hung_start(node, &sources).await;
        let (stopping, begun) = (stopped.clone(), Instant::now());
        let stop = tokio::spawn(async move { stopping.try_stop(0).await });
        let mut times = Vec::new();
        // As long as the shim's answer is waited for.
        while begun.elapsed() < Duration::from_secs(3) {
            let call = Instant::now();
            let listed = node.cri().list_containers(None).await.unwrap();
            times.push(call.elapsed());
            let state = |c: &Container| listed.iter().find(|l| l.id == c.id()).map(|l| l.state());
            assert_eq!(state(&stopped), Some(ContainerState::ContainerRunning));
            assert_eq!(state(&started), Some(ContainerState::ContainerCreated));
            assert_eq!(started.status().await.state(), ContainerState::ContainerCreated);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(!stop.is_finished() && !start.is_finished(), "both hang");
        times.sort();
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{} lists while two containers hang: p50 {p50:?}, p99 {p99:?}", times.len());
        assert!(p50 < Duration::from_millis(5), "{p50:?}");
        stop.await.unwrap().unwrap();
        started.stop(0).await;
        assert!(start.await.unwrap().is_err());
        logs.come_back();
        sources.come_back();
    });
}

#[test]
fn what_a_client_gave_up_is_made_once_and_handed_to_the_next_request() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let disk = HungDisk::mount().unwrap();
        let source = disk.path().join("data");
        std::fs::write(&source, "x").unwrap();
        let home = node.pod("home").run().await;
        disk.hang();
        let pod = node.pod("given-up").with(|c| c.log_directory = disk.path().display().to_string());
        let container = home.container("c").image(TINY).mount(&source, "/data");
        let run = tokio::spawn(pod.clone().run_as_it_is());
        let create = tokio::spawn(container.clone().create_as_it_is());
        until("both wait for the disk", async || disk.waiting() > 1).await;
        run.abort();
        create.abort();
        assert!(run.await.is_err() && create.await.is_err(), "their clients have gone");
        let (again, twice) =
            (tokio::spawn(pod.clone().run_as_it_is()), tokio::spawn(container.clone().create_as_it_is()));
        disk.come_back();
        let (again, twice) = (again.await.unwrap().unwrap(), twice.await.unwrap().unwrap());
        assert_eq!(pod.run_as_it_is().await.unwrap().id(), again.id());
        assert_eq!(container.create_as_it_is().await.unwrap().id(), twice.id());
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 2);
        assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 1);
        again.remove().await;
        home.remove().await;
    });
}

/// How many pods and containers are being made.
async fn under_way(node: &Node) -> u64 {
    let status = node.cri().runtime().status(StatusRequest { verbose: true }).await.expect("an answer").into_inner();
    let config: serde_json::Value = serde_json::from_str(&status.info["config"]).expect("JSON");
    config["operationsInFlight"].as_u64().expect("a number")
}

#[test]
fn pods_that_wait_for_the_same_log_directory_wait_together() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        disk.hang();
        let pod = |name| node.pod(name).with(|c| c.log_directory = disk.path().display().to_string());
        let runs: Vec<_> = ["a", "b", "c"].map(|name| tokio::spawn(pod(name).run_as_it_is())).into();
        until("all are on their way", async || under_way(node).await == 3).await;
        until("one waits for the disk", async || disk.waiting() > 0).await;
        assert_eq!(hung_looks(node), 1, "one thread for all of them");
        disk.come_back();
        for run in runs {
            run.await.unwrap().unwrap().remove().await;
        }
    });
}

#[test]
fn a_pod_that_nobody_waits_for_any_more_is_ready_all_the_same() {
    on_a_node(async |node| {
        let disk = HungDisk::mount().unwrap();
        disk.hang();
        let pod = node.pod("alone").with(|c| c.log_directory = disk.path().display().to_string());
        let run = tokio::spawn(pod.run_as_it_is());
        until("it waits for the disk", async || disk.waiting() > 0).await;
        run.abort();
        assert!(run.await.is_err(), "its client has gone");
        assert!(node.cri().list_pods().await.unwrap().is_empty(), "nothing is shown before it is whole");
        disk.come_back();
        let is_ready = |p: &PodSandbox| p.state() == PodSandboxState::SandboxReady;
        until("the pod is ready", async || node.cri().list_pods().await.unwrap().iter().any(is_ready)).await;
        node.sweep().await.unwrap();
    });
}

/// A registry that takes connections and says nothing. Holds the first one for as long as it is kept.
async fn silent_registry() -> (String, tokio::task::JoinHandle<tokio::net::TcpStream>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let name = format!("{}/silent/image:1", listener.local_addr().expect("it has an address"));
    (name, tokio::spawn(async move { listener.accept().await.expect("a client").0 }))
}

#[test]
fn what_is_asked_is_answered_while_a_pod_a_container_and_a_pull_hang() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let disk = HungDisk::mount().unwrap();
        let source = disk.path().join("data");
        std::fs::write(&source, "x").unwrap();
        let home = node.pod("home").run().await;
        let running = home.container("running").image(TINY).args(["sleep"]).start().await;
        disk.hang();
        let hung = node.pod("hung").with(|c| c.log_directory = disk.path().display().to_string());
        let run = tokio::spawn(hung.run_as_it_is());
        let create = tokio::spawn(home.container("hung").image(TINY).mount(&source, "/data").create_as_it_is());
        let (name, connected) = silent_registry().await;
        let cri = node.cri().clone();
        let pull = tokio::spawn(async move { cri.pull(&name).await });
        let _connection = connected.await.unwrap();
        until("both wait for the disk", async || disk.waiting() > 1).await;
        let asked = async {
            let (mut rt, mut images) = (node.cri().runtime(), node.cri().images());
            let ready = rt.status(StatusRequest { verbose: true }).await.unwrap().into_inner().status.unwrap();
            assert!(ready.conditions.iter().all(|c| c.status), "{ready:?}");
            assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
            assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 1);
            assert_eq!(node.cri().list_images().await.unwrap().len(), 1);
            assert_eq!(home.status().await.state(), PodSandboxState::SandboxReady);
            assert_eq!(running.status().await.state(), ContainerState::ContainerRunning);
            let stats = rt.list_container_stats(ListContainerStatsRequest::default()).await.unwrap().into_inner();
            assert_eq!(stats.stats.len(), 1);
            let stats = rt.list_pod_sandbox_stats(ListPodSandboxStatsRequest::default()).await.unwrap().into_inner();
            assert_eq!(stats.stats.len(), 1);
            images.image_fs_info(ImageFsInfoRequest {}).await.unwrap();
            rt.get_container_events(GetEventsRequest {}).await.unwrap();
            // And work on what does not hang goes on.
            assert_eq!(running.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
            node.pod("other").run().await.container("c").image(TINY).start().await.stop(5).await;
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("nothing waits for what hangs");
        assert!(!run.is_finished() && !create.is_finished() && !pull.is_finished(), "all three hang");
        pull.abort();
        disk.come_back();
        let (run, create) = (run.await.unwrap().unwrap(), create.await.unwrap().unwrap());
        create.remove().await;
        run.remove().await;
    });
}

#[test]
fn a_disk_of_the_root_directory_that_stalls_holds_up_those_alone_who_write_there() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let home = node.pod("home").run().await;
        let running = home.container("running").image(TINY).args(["sleep"]).start().await;
        let disk = HungDisk::mount().unwrap();
        let cover = disk.over(&node.daemon().root().join("pods")).unwrap();
        disk.hang();
        // More than there are threads that answer requests.
        let more = std::thread::available_parallelism().map_or(2, usize::from) + 2;
        let runs: Vec<_> = (0..more).map(|n| tokio::spawn(node.pod(&format!("stalled-{n}")).run_as_it_is())).collect();
        until("all wait for the disk", async || hung_writers(node) >= more).await;
        let asked = async {
            assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
            assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 1);
            assert_eq!(running.status().await.state(), ContainerState::ContainerRunning);
            assert_eq!(running.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
            running.stop(5).await;
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("others do not wait for it");
        assert!(runs.iter().all(|run| !run.is_finished()), "they wait");
        disk.come_back();
        for run in runs {
            // This disk takes no directories.
            let error = run.await.unwrap().unwrap_err();
            assert!(error.message().contains("make directory"), "{error:?}");
        }
        drop(cover);
        node.pod("again").run().await.remove().await;
    });
}

/// How many threads of the daemon wait in the kernel for something else than work.
fn hung_writers(node: &Node) -> usize {
    let tasks = format!("/proc/{}/task", node.daemon().pid().expect("goraed runs"));
    let waits = |task: &Path| {
        let place = std::fs::read_to_string(task.join("wchan")).unwrap_or_default();
        !["0", ""].contains(&place.as_str()) && !place.contains("futex") && !place.contains("epoll")
    };
    std::fs::read_dir(tasks)
        .expect("the directory is listed")
        .filter(|task| waits(&task.as_ref().expect("an entry").path()))
        .count()
}
