// SPDX-License-Identifier: Apache-2.0
//! Resources of containers: each limit is in force, changed in place, or refused.

use gorae_proto::cri::*;
use gorae_tests::{Container, Node, Pod, TINY, on_a_node};
use std::path::Path;

/// What a file of the container's cgroup says, by its v1 hierarchy and name and by its v2 name.
async fn limit(container: &Container, controller: &str, v1: &str, v2: &str) -> String {
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let find = |name: &str| groups.lines().find_map(|l| l.split_once(name).map(|(_, path)| path.to_owned()));
    let path = match find(&format!(":{controller}:")) {
        Some(path) => format!("/sys/fs/cgroup/{controller}{path}/{v1}"),
        None => format!("/sys/fs/cgroup{}/{v2}", find("0::").expect("a process is in a cgroup")),
    };
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
}

/// Whether limits are cgroup v2's here.
fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

async fn with(pod: &Pod, name: &str, change: impl FnOnce(&mut LinuxContainerResources)) -> Container {
    pod.container(name).image(TINY).args(["sleep"]).resources(change).start().await
}

#[test]
fn cpus_and_memory_nodes_are_those_asked_for() {
    on_a_node(async |node| {
        let pod = node.pod("cpuset").run().await;
        let container = with(&pod, "c", |r| (r.cpuset_cpus, r.cpuset_mems) = ("0".into(), "0".into())).await;
        assert_eq!(limit(&container, "cpuset", "cpuset.cpus", "cpuset.cpus").await, "0");
        assert_eq!(limit(&container, "cpuset", "cpuset.mems", "cpuset.mems").await, "0");
        let allowed = container.exec(["/tiny", "cat", "/proc/self/status"]).await.stdout;
        assert!(allowed.contains("Cpus_allowed_list:\t0\n"), "{allowed}");
    });
}

#[test]
fn period_quota_and_shares_are_in_force() {
    on_a_node(async |node| {
        let pod = node.pod("cpu").run().await;
        let container = with(&pod, "c", |r| (r.cpu_period, r.cpu_quota, r.cpu_shares) = (200_000, 50_000, 512)).await;
        if is_v2() {
            assert_eq!(limit(&container, "cpu", "", "cpu.max").await, "50000 200000");
            assert_eq!(limit(&container, "cpu", "", "cpu.weight").await, "59");
        } else {
            assert_eq!(limit(&container, "cpu", "cpu.cfs_period_us", "").await, "200000");
            assert_eq!(limit(&container, "cpu", "cpu.cfs_quota_us", "").await, "50000");
            assert_eq!(limit(&container, "cpu", "cpu.shares", "").await, "512");
        }
    });
}

#[test]
fn memory_and_swap_are_limited_apart() {
    const MIB: i64 = 1 << 20;
    on_a_node(async |node| {
        let pod = node.pod("memory").run().await;
        let set = |r: &mut LinuxContainerResources| {
            (r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (64 * MIB, 96 * MIB);
        };
        let container = with(&pod, "c", set).await;
        assert_eq!(limit(&container, "memory", "memory.limit_in_bytes", "memory.max").await, (64 * MIB).to_string());
        let swap = limit(&container, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max").await;
        assert_eq!(swap, if is_v2() { 32 * MIB } else { 96 * MIB }.to_string());
        let less = |r: &mut LinuxContainerResources| {
            (r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (64 * MIB, 32 * MIB);
        };
        let refused = pod.container("less").image(TINY).resources(less).try_create().await;
        let refused = refused.map(|c| c.id().to_owned()).unwrap_err();
        assert!(refused.message().contains("memory_swap_limit_in_bytes"), "{refused:?}");
    });
}

#[test]
fn the_oom_score_is_the_one_asked_for_in_commands_too() {
    on_a_node(async |node| {
        let pod = node.pod("oom").run().await;
        let container = with(&pod, "c", |r| r.oom_score_adj = 777).await;
        for pid in ["1", "self"] {
            let path = format!("/proc/{pid}/oom_score_adj");
            assert_eq!(container.exec(["/tiny", "cat", &path]).await.stdout, "777\n", "{path}");
        }
        for wrong in [1001, -1001, i64::MAX] {
            let builder = pod.container("wrong").image(TINY).resources(|r| r.oom_score_adj = wrong);
            let error = builder.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
            assert!(error.message().contains("oom_score_adj"), "{error:?}");
        }
    });
}

#[test]
fn huge_pages_are_limited_or_refused() {
    on_a_node(async |node| {
        let pod = node.pod("pages").run().await;
        let pages = |limit| {
            move |r: &mut LinuxContainerResources| {
                r.hugepage_limits.push(HugepageLimit { page_size: "2MB".into(), limit });
            }
        };
        // What kubelet sends for every pod of a node with huge pages.
        with(&pod, "none", pages(0)).await;
        let container = pod.container("some").image(TINY).args(["sleep"]).resources(pages(4 << 20)).try_create().await;
        let wrong = |r: &mut LinuxContainerResources| {
            r.hugepage_limits.push(HugepageLimit { page_size: "2 MB/..".into(), limit: 0 });
        };
        match container {
            Ok(container) => {
                container.start().await;
                let said = limit(&container, "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max").await;
                assert_eq!(said, (4 << 20).to_string());
            }
            Err(error) => assert!(error.message().contains("no hugetlb controller"), "{error:?}"),
        }
        let wrong = pod.container("wrong").image(TINY).resources(wrong).try_create().await;
        assert!(wrong.map(|c| c.id().to_owned()).unwrap_err().message().contains("page size"));
    });
}

#[test]
fn a_file_of_cgroup_v2_is_written_or_refused() {
    on_a_node(async |node| {
        let pod = node.pod("unified").run().await;
        let unified = |file: &'static str| {
            move |r: &mut LinuxContainerResources| {
                r.unified.insert(file.to_owned(), "77".to_owned());
            }
        };
        let builder = pod.container("c").image(TINY).args(["sleep"]).resources(unified("pids.max"));
        match builder.try_create().await {
            Ok(container) => {
                container.start().await;
                assert_eq!(limit(&container, "none", "", "pids.max").await, "77");
            }
            Err(error) => assert!(!is_v2() && error.message().contains("pids.max"), "{error:?}"),
        }
        for wrong in ["cgroup.procs", "../memory.max", "memory"] {
            let builder = pod.container("wrong").image(TINY).resources(unified(wrong));
            let error = builder.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
            assert!(error.message().contains(wrong), "{error:?}");
        }
    });
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    on_a_node(async |node| {
        let pod = node.pod("update").run().await;
        let first = |r: &mut LinuxContainerResources| {
            (r.cpu_shares, r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (256, 64 << 20, 64 << 20);
        };
        let container = with(&pod, "c", first).await;
        let update = UpdateContainerResourcesRequest {
            container_id: container.id().to_owned(),
            linux: Some(LinuxContainerResources { cpu_shares: 1024, ..Default::default() }),
            ..Default::default()
        };
        node.cri().runtime().update_container_resources(update).await.unwrap();
        let weight = if is_v2() { "100" } else { "1024" };
        assert_eq!(limit(&container, "cpu", "cpu.shares", "cpu.weight").await, weight);
        assert_eq!(limit(&container, "memory", "memory.limit_in_bytes", "memory.max").await, (64 << 20).to_string());
        let told = container.status().await.resources.and_then(|r| r.linux).expect("told");
        assert_eq!((told.cpu_shares, told.memory_limit_in_bytes), (1024, 64 << 20));
    });
}

/// The values of a metric of the container, one for each of its label sets.
async fn metric(node: &Node, container: &Container, name: &str) -> Vec<u64> {
    let all = node.cri().runtime().list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await.expect("listed");
    let all = all.into_inner().pod_metrics.into_iter().flat_map(|pod| pod.container_metrics);
    let metrics = all.filter(|c| c.container_id == container.id()).flat_map(|c| c.metrics);
    metrics.filter(|m| m.name == name).filter_map(|m| m.value).map(|value| value.value).collect()
}

#[test]
fn the_limit_of_memory_and_swap_that_is_told_is_the_kernels() {
    on_a_node(async |node| {
        let pod = node.pod("both").run().await;
        for (name, memory, both, told) in
            [("alone", 64 << 20, 0, 64 << 20), ("both", 64 << 20, 96 << 20, 96 << 20), ("none", 0, 0, 0)]
        {
            let limits = |r: &mut LinuxContainerResources| {
                (r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (memory, both);
            };
            let container = with(&pod, name, limits).await;
            assert_eq!(metric(node, &container, "container_spec_memory_swap_limit_bytes").await, [told], "{name}");
        }
    });
}
