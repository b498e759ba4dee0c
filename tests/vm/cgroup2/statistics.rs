// SPDX-License-Identifier: Apache-2.0
//! Usage, as the kernel's files have it.

use crate::{MIB, group, said};
use gorae_proto::cri::{ContainerStatsRequest, PodSandboxStatsRequest};
use gorae_tests::{TINY, on_a_node};
use std::time::{Duration, Instant};

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
        assert!(memory.psi.and_then(|psi| psi.some).is_some() && stats.io.and_then(|io| io.psi).is_some());
        assert_eq!(stats.swap.and_then(|swap| swap.swap_usage_bytes).map(|v| v.value), Some(0));
        let cpu = stats.cpu.expect("cpu");
        assert!(cpu.psi.is_some());
        let cpu = cpu.usage_core_nano_seconds.expect("cpu time").value;
        assert!(cpu > 0 && cpu < 60_000_000_000, "{cpu}");
        let request = PodSandboxStatsRequest { pod_sandbox_id: pod.id().to_owned() };
        let stats = node.cri().runtime().pod_sandbox_stats(request).await.unwrap().into_inner().stats.expect("stats");
        let linux = stats.linux.expect("this is Linux");
        near(linux.memory.and_then(|m| m.usage_bytes).map(|v| v.value), "the pod's usage");
        assert_eq!(linux.containers.len(), 1);
        assert!(linux.process.and_then(|p| p.process_count).is_some_and(|count| count.value >= 1));
    });
}
