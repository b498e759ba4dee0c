// SPDX-License-Identifier: Apache-2.0
//! What only a machine with every controller on cgroup v2 can show; `make test-vm` runs it on one.

use gorae_proto::cri::{
    ContainerStatsRequest, LinuxContainerResources, PodSandboxStatsRequest, UpdateContainerResourcesRequest,
};
use gorae_tests::{Container, Pod, TINY, on_a_node};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: i64 = 1 << 20;

/// The cgroup of a container's first process.
async fn group(container: &Container) -> PathBuf {
    assert!(Path::new("/sys/fs/cgroup/cgroup.controllers").exists(), "this machine has no pure cgroup v2");
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups.trim_end().strip_prefix("0::").expect("there is one hierarchy");
    PathBuf::from(format!("/sys/fs/cgroup{path}"))
}

/// What a file of the cgroup says.
fn said(group: &Path, file: &str) -> String {
    let path = group.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

/// The cgroups in a cgroup.
fn below(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).unwrap().flatten();
    entries.filter(|entry| entry.file_type().unwrap().is_dir()).map(|entry| entry.path()).collect()
}

async fn shell(pod: &Pod) -> Container {
    pod.container("c").script("sleep 1000").start().await
}

async fn resize(pod: &Pod, container: &Container, new: LinuxContainerResources) -> Result<(), tonic::Status> {
    let request = UpdateContainerResourcesRequest {
        container_id: container.id().to_owned(),
        linux: Some(new),
        ..Default::default()
    };
    pod.cri().runtime().update_container_resources(request).await.map(drop)
}

#[test]
fn every_limit_stands_in_its_file() {
    on_a_node(async |node| {
        let pod = node.pod("limits").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).resources(|r| {
            (r.cpu_period, r.cpu_quota, r.cpu_shares) = (200_000, 50_000, 512);
            (r.cpuset_cpus, r.cpuset_mems) = ("0".into(), "0".into());
            r.unified.insert("pids.max".into(), "77".into());
            r.unified.insert("memory.high".into(), (60 * MIB).to_string());
        });
        let group = group(&container.start().await).await;
        let wanted = [
            ("memory.max", (64 * MIB).to_string()),
            ("memory.high", (60 * MIB).to_string()),
            ("memory.swap.max", "0".into()),
            ("cpu.max", "50000 200000".into()),
            ("cpu.weight", "59".into()),
            ("cpuset.cpus", "0".into()),
            ("pids.max", "77".into()),
        ];
        for (file, value) in wanted {
            assert_eq!(said(&group, file), value, "{file}");
        }
        assert_eq!(said(&group, "cgroup.procs").lines().count(), 1, "the process is in the container's own group");
        assert_eq!(said(&group, "cgroup.subtree_control"), "", "or its own programs could not be in it");
    });
}

#[test]
fn a_running_container_is_resized_in_place() {
    on_a_node(async |node| {
        let pod = node.pod("resize").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).start().await;
        let (before, group) = (container.info().await["pid"].clone(), group(&container).await);
        let new = LinuxContainerResources {
            cpu_period: 100_000,
            cpu_quota: 20_000,
            cpu_shares: 2048,
            memory_limit_in_bytes: 96 * MIB,
            memory_swap_limit_in_bytes: 96 * MIB,
            ..Default::default()
        };
        resize(&pod, &container, new).await.unwrap();
        assert_eq!(said(&group, "memory.max"), (96 * MIB).to_string());
        assert_eq!(said(&group, "memory.swap.max"), "0");
        assert_eq!(said(&group, "cpu.max"), "20000 100000");
        let weight: u64 = said(&group, "cpu.weight").parse().unwrap();
        assert!(weight > 100, "{weight}");
        assert_eq!(container.info().await["pid"], before, "nothing was started again");
        let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
        assert_eq!((told.memory_limit_in_bytes, told.cpu_quota), (96 * MIB, 20_000));
    });
}

#[test]
fn a_resize_that_the_kernel_refuses_changes_nothing() {
    on_a_node(async |node| {
        let pod = node.pod("refused").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(64 * MIB).start().await;
        let group = group(&container).await;
        let mut new = LinuxContainerResources {
            memory_limit_in_bytes: 80 * MIB,
            memory_swap_limit_in_bytes: 80 * MIB,
            ..Default::default()
        };
        new.unified.insert("pids.max".into(), "many".into());
        let error = resize(&pod, &container, new).await.unwrap_err();
        assert!(error.message().contains("pids.max"), "{error:?}");
        assert_eq!(said(&group, "memory.max"), (64 * MIB).to_string());
    });
}

#[test]
fn memory_is_not_limited_below_what_is_in_use() {
    on_a_node(async |node| {
        let pod = node.pod("shrink").run().await;
        let container = pod.container("c").image(TINY).args(["eat", "60"]).memory_limit(128 * MIB).start().await;
        container.has_printed(|line| line.starts_with("ate")).await;
        let group = group(&container).await;
        let limit = |mib: i64| LinuxContainerResources {
            memory_limit_in_bytes: mib * MIB,
            memory_swap_limit_in_bytes: mib * MIB,
            ..Default::default()
        };
        let error = resize(&pod, &container, limit(32)).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition, "{error:?}");
        assert_eq!(said(&group, "memory.max"), (128 * MIB).to_string());
        resize(&pod, &container, limit(80)).await.unwrap();
        assert_eq!(said(&group, "memory.max"), (80 * MIB).to_string());
        assert_eq!(container.exec(["/tiny", "echo", "alive"]).await.stdout, "alive\n");
    });
}

#[test]
fn a_command_that_takes_too_long_ends_with_what_left_its_session() {
    on_a_node(async |node| {
        let container = shell(&node.pod("timeout").run().await).await;
        let group = group(&container).await;
        let alive = said(&group, "cgroup.procs");
        let script = "setsid sh -c 'trap \"\" TERM HUP; sleep 4321 & sleep 4321' & sleep 4321";
        let begun = Instant::now();
        let error = container.try_exec(["sh", "-c", script], 1).await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded, "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(container.sh("ps | grep -c '[s]leep 4321'").await.stdout, "0\n");
        assert_eq!(said(&group, "cgroup.procs"), alive);
        assert_eq!(below(&group), Vec::<PathBuf>::new(), "no group of an exec stays");
    });
}

#[test]
fn the_disk_of_the_machine_cannot_be_opened_by_its_number() {
    on_a_node(async |node| {
        let pod = node.pod("devices").run().await;
        let container = shell(&pod).await;
        let numbers = std::fs::read_to_string("/sys/block/vda/dev").unwrap();
        let (major, minor) = numbers.trim().split_once(':').unwrap();
        let open = format!("mknod /disk b {major} {minor}; head -c 1 /disk");
        let tried = container.sh(&open).await;
        assert_ne!(tried.code, 0, "{tried:?}");
        assert!(tried.stderr.contains("Operation not permitted"), "{tried:?}");
        let usual = container.sh("echo x > /dev/null && head -c 1 /dev/zero > /dev/full").await;
        assert!(usual.stderr.contains("No space left"), "{usual:?}");
        let privileged = node.pod("open").with(|c| {
            let linux = c.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().privileged = true;
        });
        let privileged = privileged.run().await.container("p").script("sleep 1000").security(|s| s.privileged = true);
        let done = privileged.start().await.sh(&open).await;
        assert_eq!(done.code, 0, "{done:?}");
    });
}

#[test]
fn memory_that_runs_out_while_the_daemon_is_away_is_told_by_the_next_one() {
    on_a_node(async |node| {
        let pod = node.pod("oom").run().await;
        let script = "sleep 2; exec head -c 100000000 /dev/zero | tail -c 90000000";
        let eater = pod.container("eater").script(script).memory_limit(32 * MIB).start().await;
        let alone = pod.container("alone").image(TINY).args(["eat", "200"]).memory_limit(32 * MIB).create().await;
        node.daemon().kill();
        tokio::time::sleep(Duration::from_secs(4)).await;
        node.restart().await;
        let status = eater.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
        alone.start().await;
        let status = alone.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
    });
}

#[test]
fn a_new_daemon_takes_over_limits_commands_and_clean_up() {
    on_a_node(async |node| {
        let pod = node.pod("kept").run().await;
        let container = shell(&pod).await;
        let group = group(&container).await;
        let init = container.info().await["pid"].clone();
        node.kill_and_restart().await;
        assert_eq!(container.info().await["pid"], init);
        assert_eq!(container.sh("echo hi").await.stdout, "hi\n");
        let new = LinuxContainerResources { memory_limit_in_bytes: 48 * MIB, ..Default::default() };
        resize(&pod, &container, new).await.unwrap();
        assert_eq!(said(&group, "memory.max"), (48 * MIB).to_string());
        container.stop(0).await;
        container.remove().await;
        assert!(!group.exists(), "{}", group.display());
    });
}

#[test]
fn statistics_are_those_of_the_kernels_files() {
    on_a_node(async |node| {
        let pod = node.pod("stats").run().await;
        let container = pod.container("c").image(TINY).args(["eat", "40"]).memory_limit(128 * MIB).start().await;
        let group = group(&container).await;
        let begun = Instant::now();
        while said(&group, "memory.current").parse::<i64>().unwrap() < 40 * MIB {
            assert!(begun.elapsed() < Duration::from_secs(20), "40 MiB are eaten soon");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let request = ContainerStatsRequest { container_id: container.id().to_owned() };
        let stats = node.cri().runtime().container_stats(request).await.unwrap().into_inner().stats.expect("stats");
        let memory = stats.memory.expect("memory");
        let near = |value: Option<u64>, what: &str| {
            let value = value.unwrap_or_else(|| panic!("{what} is there"));
            let wanted = 40 << 20;
            assert!((wanted..wanted + (16 << 20)).contains(&value), "{what} is {value}");
        };
        near(memory.usage_bytes.map(|v| v.value), "usage");
        near(memory.working_set_bytes.map(|v| v.value), "working set");
        near(memory.rss_bytes.map(|v| v.value), "rss");
        assert!(memory.page_faults.expect("page faults").value > 1000);
        let available = memory.available_bytes.expect("available").value;
        assert!(available > 60 << 20 && available < 90 << 20, "{available}");
        let cpu = stats.cpu.expect("cpu").usage_core_nano_seconds.expect("cpu time").value;
        assert!(cpu > 0 && cpu < 60_000_000_000, "{cpu}");
        let request = PodSandboxStatsRequest { pod_sandbox_id: pod.id().to_owned() };
        let stats = node.cri().runtime().pod_sandbox_stats(request).await.unwrap().into_inner().stats.expect("stats");
        let linux = stats.linux.expect("this is Linux");
        near(linux.memory.and_then(|m| m.usage_bytes).map(|v| v.value), "the pod's usage");
        assert_eq!(linux.containers.len(), 1);
        assert!(linux.process.and_then(|p| p.process_count).is_some_and(|count| count.value >= 1));
    });
}
