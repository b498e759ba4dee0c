// SPDX-License-Identifier: Apache-2.0
//! What others break and what clean-ups leave behind is put right without a restart.

use gorae_proto::cri::{ContainerEventType, GetEventsRequest, NamespaceMode, PodSandboxState};
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{Container, Node, Pod, TINY, leaks, memory, web};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A pass a second.
const OFTEN: &str = "reconcile_seconds = 1\n";
/// Longest wait for some passes.
const PATIENCE: Duration = Duration::from_secs(15);

fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().expect("sh runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn until(what: &str, seen: impl Fn() -> bool) {
    let begun = Instant::now();
    while !seen() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The daemon's bridge; a pod has been there.
fn bridge() -> String {
    let name = sh("ip -o link show type bridge").split(": ").nth(1).expect("there is a bridge").to_owned();
    name.split('@').next().unwrap_or_default().to_owned()
}

async fn server(node: &Node, port: u16) {
    let www = node.directory("www");
    std::fs::write(www.join("index.html"), "page").expect("the file is written");
    let pod = node.pod("web").port(port.into(), 80).run().await;
    let server = pod.container("c").image(TINY).args(["serve", "80", "/www"]).readonly_mount(&www, "/www");
    server.start().await;
}

#[test]
fn host_ports_come_back_after_a_flush_of_all_rules() {
    on_a_node_with(OFTEN, async |node| {
        server(node, 12_410).await;
        assert_eq!(web::get_soon("127.0.0.1:12410", "/").await.0, 200);
        let before = sh("nft list ruleset");
        sh("nft flush ruleset");
        until("the table is there again", || sh("nft list ruleset") == before).await;
        assert_eq!(web::get_soon("127.0.0.1:12410", "/").await.0, 200);
        assert!(node.daemon().log().contains("the table of host ports was removed or flushed from outside"));
    });
}

#[test]
fn pods_are_reached_again_after_their_bridge_was_removed() {
    on_a_node_with(OFTEN, async |node| {
        server(node, 12_411).await;
        let name = bridge();
        sh(&format!("ip link delete {name}"));
        until("the bridge is there again", || sh("ip -o link show type bridge").contains(&name)).await;
        assert_eq!(web::get_soon("127.0.0.1:12411", "/").await.0, 200);
    });
}

/// Takes a pod's pins away as an agent does that tidies up: some are unmounted, some deleted as well.
fn take_pins_away(node: &Node, pod: &Pod, netns: &Path, unmounted: &[&str], deleted: &[&str]) {
    let pins = node.daemon().state().join("pods").join(pod.id()).join("ns");
    let pin = |kind: &str| if kind == "net" { netns.to_owned() } else { pins.join(kind) };
    for kind in unmounted.iter().chain(deleted) {
        sh(&format!("umount --lazy {}", pin(kind).display()));
    }
    for kind in deleted {
        std::fs::remove_file(pin(kind)).expect("the file is removed");
    }
}

/// A container that joins all that its pod has, and the namespaces that its first process is in.
async fn inside(pod: &Pod, name: &str) -> (Container, String) {
    let options = gorae_tests::pod::namespaces(&mut pod.config().clone()).clone();
    let shared = if options.pid() == NamespaceMode::Pod { "pid" } else { "" };
    let container = pod.container(name).script("sleep 1000").security(|s| s.namespace_options = Some(options));
    let container = container.start().await;
    let links =
        container.sh(&format!("for kind in net uts ipc user {shared}; do readlink /proc/self/ns/$kind; done")).await;
    assert_eq!(links.code, 0, "{}", links.stderr);
    (container, links.stdout)
}

#[test]
fn pins_that_somebody_took_away_are_made_again_from_a_process_of_the_pod() {
    on_a_node_with(OFTEN, async |node| {
        let pod = node.pod("pinned").port(12_430, 80).shared_processes().run().await;
        let (first, of_first) = inside(&pod, "first").await;
        let netns = pod.netns().await;
        take_pins_away(node, &pod, &netns, &["net", "pid"], &["uts", "ipc"]);
        until("they are pinned again", || node.daemon().log().contains("net, uts, ipc, pid")).await;
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxReady);
        assert_eq!(inside(&pod, "second").await.1, of_first, "the very same namespaces");
        // While the daemon is away: at its start.
        node.daemon().kill();
        take_pins_away(node, &pod, &netns, &["uts"], &["net"]);
        node.restart().await;
        until("they are pinned again", || node.daemon().log().contains("gone=\"net, uts\"")).await;
        assert_eq!(inside(&pod, "third").await.1, of_first);
        assert_eq!(first.exec(["true"]).await.code, 0);
    });
}

#[test]
fn a_pin_of_another_namespace_is_none() {
    on_a_node_with(OFTEN, async |node| {
        let pod = node.pod("pinned").run().await;
        let (_first, of_first) = inside(&pod, "first").await;
        sh(&format!("unshare --net mount --bind /proc/self/ns/net {}", pod.netns().await.display()));
        until("its own is pinned again", || node.daemon().log().contains("gone=\"net\"")).await;
        assert_eq!(inside(&pod, "second").await.1, of_first);
    });
}

#[test]
fn a_pod_that_lost_its_shared_memory_starts_nothing_more_and_is_stopped_and_removed() {
    on_a_node_with(OFTEN, async |node| {
        let pod = node.pod("shared").run().await;
        let (first, _) = inside(&pod, "first").await;
        let waiting = pod.container("waiting").image(TINY).args(["sleep"]).create().await;
        let shm = node.daemon().state().join("pods").join(pod.id()).join("shm");
        sh(&format!("umount --lazy {}", shm.display()));
        // What a container left that an earlier build had given the bare directory.
        std::fs::create_dir(shm.join("left")).unwrap();
        std::fs::write(shm.join("left/file"), "x").unwrap();
        let refused = waiting.try_start().await.unwrap_err();
        let words = ["shared memory", "not ready"];
        assert!(words.iter().any(|word| refused.message().contains(word)), "{refused:?}");
        until("the pod is stopped", || node.daemon().log().contains("shared memory was unmounted; stopping the pod"))
            .await;
        first.ended().await;
        pod.stop().await;
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready);
        assert!(!shm.exists(), "nothing is left of it");
        pod.remove().await;
    });
}

#[test]
fn a_pod_whose_pins_are_gone_and_that_nothing_lives_in_is_not_ready_and_makes_room_for_the_next() {
    on_a_node_with(OFTEN, async |node| {
        let pod = node.pod("lost").port(12_431, 80).run().await;
        let ended = pod.container("ended").image(TINY).args(["exit", "3"]).start().await;
        ended.ended().await;
        let mut events = node.cri().runtime().get_container_events(GetEventsRequest {}).await.unwrap().into_inner();
        take_pins_away(node, &pod, &pod.netns().await, &["net"], &[]);
        let event = tokio::time::timeout(PATIENCE, events.message()).await.expect("an event").unwrap().expect("one");
        let told = (event.container_id.as_str(), event.container_event_type());
        assert_eq!(told, (pod.id(), ContainerEventType::ContainerStoppedEvent));
        assert_eq!(event.pod_sandbox_status.expect("told").state(), PodSandboxState::SandboxNotready);
        drop(events);
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready);
        // kubelet's next steps.
        pod.stop().await;
        assert_eq!(ended.status().await.exit_code, 3);
        let next = node.pod("lost").with(|c| c.metadata.as_mut().expect("set").attempt = 1).port(12_431, 80);
        let next = next.run().await;
        inside(&next, "c").await;
    });
}

/// The cgroup hierarchies that Gorae uses: systemd's own is none of them.
fn hierarchies() -> impl Iterator<Item = PathBuf> {
    leaks::hierarchies().into_iter().filter(|place| !place.ends_with("systemd"))
}

/// What a removal that was cut off leaves: a run directory, and a process in a cgroup.
struct LeftOver {
    run_dir: PathBuf,
    groups: Vec<PathBuf>,
    process: Child,
}

impl LeftOver {
    fn new(run_dir: PathBuf, group: &str) -> LeftOver {
        std::fs::create_dir_all(&run_dir).expect("the directory is made");
        let process = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
        let groups: Vec<PathBuf> = hierarchies().map(|place| place.join(group)).collect();
        for group in &groups {
            std::fs::create_dir_all(group).expect("the directory is made");
            // A hierarchy may refuse (a cpuset without processors): then it has an empty group.
            let _ = std::fs::write(group.join("cgroup.procs"), process.id().to_string());
        }
        LeftOver { run_dir, groups, process }
    }

    async fn clearing(mut self) {
        until("its directory is gone", || !self.run_dir.exists()).await;
        assert!(!self.process.wait().expect("it ends").success(), "its process is killed");
        let left: Vec<&PathBuf> = self.groups.iter().filter(|group| group.exists()).collect();
        assert_eq!(left, Vec::<&PathBuf>::new());
    }
}

/// The groups that [`LeftOver`] made above.
fn remove_group(name: &str) {
    for place in hierarchies() {
        let _ = std::fs::remove_dir(place.join(name));
    }
}

#[test]
fn what_is_left_of_pods_and_containers_that_no_longer_exist_is_cleared_away() {
    on_a_node_with(OFTEN, async |node| {
        let kept = node.pod("kept").run().await;
        let kept = kept.container("c").image(TINY).args(["sleep"]).start().await;
        let (pod, container) = ("5".repeat(64), "7".repeat(64));
        let state = node.daemon().state();
        let pins = state.join("pods").join(&pod).join("ns");
        std::fs::create_dir_all(&pins).unwrap();
        sh(&format!("touch {0}/net; unshare --net mount --bind /proc/self/ns/net {0}/net", pins.display()));
        let pod = LeftOver::new(state.join("pods").join(&pod), &format!("gorae/pod-{pod}"));
        let run_dir = state.join("containers").join(&container);
        let container = LeftOver::new(run_dir, &format!("left/over/gorae-{container}"));
        pod.clearing().await;
        container.clearing().await;
        remove_group("left/over");
        remove_group("left");
        // Where the daemon makes none; the pod that is kept holds the others.
        remove_group("gorae");
        assert_eq!(kept.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
    });
}

#[test]
fn an_interface_of_no_pod_is_taken_out_of_the_bridge_and_others_are_not() {
    on_a_node_with(OFTEN, async |node| {
        let pod = node.pod("kept").run().await;
        let name = bridge();
        sh(&format!(
            "ip link add gp0123456789abc type veth peer name left0; ip link set gp0123456789abc master {name}
             ip link add theirs0 type veth peer name theirs1; ip link set theirs0 master {name}"
        ));
        until("it is gone", || !sh("ip -o link").contains("gp0123456789abc")).await;
        assert!(sh("ip -o link").contains("theirs0"), "not ours to remove");
        sh("ip link delete theirs0");
        assert!(!pod.address().await.is_empty());
        let links = sh("ip -o link");
        assert_eq!(links.lines().filter(|link| link.contains(" gp")).count(), 1, "the pod's is there: {links}");
    });
}

#[test]
fn a_pass_costs_next_to_nothing() {
    on_a_node_with(OFTEN, async |node| {
        for i in 0..10 {
            node.pod(&format!("rest-{i}")).port(12_420 + i, 80).run().await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (daemon, passes) = (node.daemon().pid().expect("goraed runs"), 5);
        let before = memory::processor_time(daemon);
        tokio::time::sleep(Duration::from_secs(passes)).await;
        let each = (memory::processor_time(daemon) - before) / u32::try_from(passes).expect("few");
        println!("one pass over 10 pods: {each:?} of processor time");
        assert!(each < Duration::from_millis(10), "{each:?}");
    });
}
