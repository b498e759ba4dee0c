// SPDX-License-Identifier: Apache-2.0
//! In-place resize: new limits on what runs, all or none.

use gorae_proto::cri::{LinuxContainerResources, UpdateContainerResourcesRequest, UpdatePodSandboxResourcesRequest};
use gorae_tests::{Container, Node, TINY, on_a_node};
use tonic::{Code, Status};

const MIB: i64 = 1 << 20;

async fn resize(node: &Node, container: &Container, new: LinuxContainerResources) -> Result<(), Status> {
    let container_id = container.id().to_owned();
    let request = UpdateContainerResourcesRequest { container_id, linux: Some(new), ..Default::default() };
    node.cri().runtime().update_container_resources(request).await.map(drop)
}

fn memory(mib: i64) -> LinuxContainerResources {
    LinuxContainerResources {
        memory_limit_in_bytes: mib * MIB,
        memory_swap_limit_in_bytes: mib * MIB,
        ..Default::default()
    }
}

/// What a limit's file says: the name on cgroup v1 with its controller, and on v2.
async fn said(container: &Container, controller: &str, v1: &str, v2: &str) -> String {
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it is read");
    let group = |name: &str| groups.lines().find_map(|l| l.split_once(name).map(|(_, path)| path.to_owned()));
    let path = match group(&format!(":{controller}:")) {
        Some(path) => format!("/sys/fs/cgroup/{controller}{path}/{v1}"),
        None => format!("/sys/fs/cgroup{}/{v2}", group("0::").expect("a process is in a cgroup")),
    };
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
}

async fn memory_limit(container: &Container) -> String {
    said(container, "memory", "memory.limit_in_bytes", "memory.max").await
}

#[test]
fn a_running_container_gets_other_limits_without_a_restart_and_keeps_them_over_one_of_the_daemon() {
    on_a_node(async |node| {
        let pod = node.pod("resize").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).start().await;
        let before = container.info().await["pid"].clone();
        let new = LinuxContainerResources { cpu_period: 100_000, cpu_quota: 20_000, cpu_shares: 2048, ..memory(96) };
        resize(node, &container, new).await.unwrap();
        for _ in 0..2 {
            assert_eq!(memory_limit(&container).await, (96 * MIB).to_string());
            let quota = said(&container, "cpu", "cpu.cfs_quota_us", "cpu.max").await;
            assert!(quota == "20000" || quota == "20000 100000", "{quota}");
            let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
            let told = (told.memory_limit_in_bytes, told.cpu_quota, told.cpu_shares);
            assert_eq!(told, (96 * MIB, 20_000, 2048));
            assert_eq!(container.info().await["pid"], before, "nothing was started again");
            node.kill_and_restart().await;
        }
        // Less than before, more than is used.
        let begun = std::time::Instant::now();
        while let Err(status) = resize(node, &container, memory(48)).await {
            // The new daemon is still finding the shim again.
            assert!(status.code() == Code::Unavailable && begun.elapsed().as_secs() < 10, "{status:?}");
        }
        assert_eq!(memory_limit(&container).await, (48 * MIB).to_string());
    });
}

#[test]
fn memory_below_what_is_in_use_is_refused_and_nothing_changes() {
    on_a_node(async |node| {
        let pod = node.pod("shrink").run().await;
        let container = pod.container("c").image(TINY).args(["eat", "60"]).memory_limit(128 * MIB).start().await;
        container.has_printed(|line| line.starts_with("ate")).await;
        let too_little = LinuxContainerResources { cpu_period: 100_000, cpu_quota: 33_000, ..memory(32) };
        let error = resize(node, &container, too_little).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{error:?}");
        let words = "bytes that are in use and cannot be reclaimed";
        assert!(error.message().contains("memory") && error.message().contains(words), "{error:?}");
        assert_eq!(memory_limit(&container).await, (128 * MIB).to_string());
        let quota = said(&container, "cpu", "cpu.cfs_quota_us", "cpu.max").await;
        assert!(!quota.starts_with("33000"), "all or none: {quota}");
        let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
        assert_eq!((told.memory_limit_in_bytes, told.cpu_quota), (128 * MIB, 0));
        assert_eq!(container.exec(["/tiny", "echo", "alive"]).await.stdout, "alive\n");
    });
}

#[test]
fn a_created_container_starts_with_its_new_limits() {
    on_a_node(async |node| {
        let pod = node.pod("early").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).create().await;
        resize(node, &container, memory(80)).await.unwrap();
        container.start().await;
        assert_eq!(memory_limit(&container).await, (80 * MIB).to_string());
    });
}

/// The CPUs that a process of the container may run on, told by a command and by its first process.
async fn cpus(container: &Container) -> [String; 2] {
    let mut found = Vec::new();
    for process in ["self", "1"] {
        let text = container.exec(["/tiny", "cat", &format!("/proc/{process}/status")]).await.stdout;
        let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        found.push(line.expect("the kernel tells").trim().to_owned());
    }
    found.try_into().expect("two")
}

#[test]
fn cpus_that_are_chosen_later_hold_for_what_runs_and_for_what_comes() {
    on_a_node(async |node| {
        let pod = node.pod("cpus").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let before = cpus(&container).await;
        let cpuset = |list: &str| LinuxContainerResources { cpuset_cpus: list.into(), ..Default::default() };
        let refused = LinuxContainerResources { cpu_quota: 20_000, cpu_period: 100_000, ..cpuset("4000") };
        resize(node, &container, refused).await.unwrap_err();
        assert_eq!(cpus(&container).await, before);
        let quota = said(&container, "cpu", "cpu.cfs_quota_us", "cpu.max").await;
        assert!(quota == "-1" || quota == "max 100000", "{quota}");
        resize(node, &container, cpuset("0")).await.unwrap();
        assert_eq!(cpus(&container).await, ["0", "0"]);
        resize(node, &container, cpuset(&before[0])).await.unwrap();
        assert_eq!(cpus(&container).await, before);
    });
}

#[test]
fn a_score_for_the_oom_killer_holds_for_what_runs_and_for_what_comes() {
    on_a_node(async |node| {
        let pod = node.pod("score").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).resources(|r| r.oom_score_adj = 100);
        let container = container.start().await;
        let scores = async || {
            let of = async |process: &str| {
                container.exec(["/tiny", "cat", &format!("/proc/{process}/oom_score_adj")]).await.stdout
            };
            [of("1").await, of("self").await]
        };
        let score = |oom_score_adj| LinuxContainerResources { oom_score_adj, ..Default::default() };
        resize(node, &container, score(500)).await.unwrap();
        assert_eq!(scores().await, ["500\n", "500\n"]);
        let refused = LinuxContainerResources { cpuset_cpus: "4000".into(), ..score(700) };
        resize(node, &container, refused).await.unwrap_err();
        let wrong = resize(node, &container, score(5000)).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong:?}");
        assert_eq!(scores().await, ["500\n", "500\n"]);
        let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
        assert_eq!(told.oom_score_adj, 500);
    });
}

/// The records of a container, by name.
fn record(node: &Node, container: &Container, name: &str) -> std::path::PathBuf {
    node.daemon().root().join("containers").join(container.id()).join(name)
}

async fn told(container: &Container) -> i64 {
    let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
    told.memory_limit_in_bytes
}

#[test]
fn a_change_that_a_killed_daemon_left_open_is_finished_or_taken_back() {
    on_a_node(async |node| {
        let pod = node.pod("open").run().await;
        for (name, new, left) in [("possible", 96, 96), ("too-little", 32, 128)] {
            let container = pod.container(name).image(TINY).args(["eat", "60"]).memory_limit(64 * MIB).create().await;
            let path = record(node, &container, "record");
            resize(node, &container, memory(new)).await.unwrap();
            let changed = std::fs::read(&path).unwrap();
            resize(node, &container, memory(128)).await.unwrap();
            container.start().await;
            container.has_printed(|line| line.starts_with("ate")).await;
            node.daemon().kill();
            std::fs::rename(&path, path.with_extension("old")).unwrap();
            std::fs::write(&path, changed).unwrap();
            node.restart().await;
            gorae_tests::testing::soon("the change is settled", async || {
                (!path.with_extension("old").exists()).then_some(())
            })
            .await;
            assert_eq!(memory_limit(&container).await, (left * MIB).to_string(), "{name}");
            assert_eq!(told(&container).await, left * MIB, "{name}");
            node.kill_and_restart().await;
            assert_eq!(told(&container).await, left * MIB, "{name}: the record says it too");
        }
    });
}

#[test]
fn a_change_that_cannot_be_recorded_is_not_made() {
    gorae_tests::testing::on_a_small_disk(24 << 20, async |node| {
        node.registry().client().push(&gorae_tests::images::own::tiny().unwrap()).unwrap();
        let pod = node.pod("full").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).start().await;
        let filler = node.directory("full").join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write(&mut file, &[0; 4096]).is_ok_and(|written| written > 0) {}
        drop(file);
        let new = LinuxContainerResources { cpu_quota: 20_000, cpu_period: 100_000, ..memory(96) };
        let error = resize(node, &container, new.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        assert_eq!(memory_limit(&container).await, (64 * MIB).to_string());
        let quota = said(&container, "cpu", "cpu.cfs_quota_us", "cpu.max").await;
        assert!(quota == "-1" || quota == "max 100000", "{quota}");
        assert_eq!(told(&container).await, 64 * MIB);
        std::fs::remove_file(&filler).unwrap();
        resize(node, &container, new).await.unwrap();
        assert_eq!(memory_limit(&container).await, (96 * MIB).to_string());
        assert!(!record(node, &container, "record.old").exists());
    });
}

#[test]
fn the_resources_of_a_pod_are_kept_and_touch_no_cgroup() {
    on_a_node(async |node| {
        let pod = node.pod("sum").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).start().await;
        let request = |id: &str| UpdatePodSandboxResourcesRequest {
            pod_sandbox_id: id.to_owned(),
            overhead: Some(memory(8)),
            resources: Some(memory(72)),
        };
        node.cri().runtime().update_pod_sandbox_resources(request(pod.id())).await.unwrap();
        let info = pod.info().await;
        assert_eq!(info["resources"]["resources"]["memory_limit_in_bytes"], 72 * MIB);
        assert_eq!(info["resources"]["overhead"]["memory_limit_in_bytes"], 8 * MIB);
        assert_eq!(memory_limit(&container).await, (64 * MIB).to_string());
        let unknown = node.cri().runtime().update_pod_sandbox_resources(request(&"9".repeat(64))).await;
        assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    });
}
