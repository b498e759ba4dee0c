// SPDX-License-Identifier: Apache-2.0
//! The limits of a request as values in the kernel's files.

use crate::{MIB, below, group, said};
use gorae_proto::cri::HugepageLimit;
use gorae_tests::{TINY, on_a_node};

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
fn memory_is_not_exceeded_into_swap_unless_swap_is_asked_for() {
    on_a_node(async |node| {
        let pod = node.pod("swap").run().await;
        let unified = |value: &str| [("memory.swap.max".to_owned(), value.to_owned())].into();
        let cases = [
            ("alone", 64 * MIB, 0, None, "0"),
            ("both", 64 * MIB, 96 * MIB, None, "33554432"),
            ("endless", 64 * MIB, -1, None, "max"),
            ("none", 0, 0, None, "max"),
            // Kubelet says it so.
            ("kubelet", 64 * MIB, 0, Some(unified("1048576")), "1048576"),
        ];
        for (name, memory, both, unified, swap) in cases {
            let container = pod.container(name).image(TINY).args(["sleep"]).resources(|r| {
                (r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (memory, both);
                r.unified = unified.unwrap_or_default();
            });
            assert_eq!(said(&group(&container.start().await).await, "memory.swap.max"), swap, "{name}");
        }
    });
}

#[test]
fn huge_pages_are_limited_in_both_files_and_a_size_that_this_kernel_has_not_is_forgiven() {
    on_a_node(async |node| {
        let pod = node.pod("huge").run().await;
        let limit = |size: &str, limit| HugepageLimit { page_size: size.into(), limit };
        let container = pod.container("c").image(TINY).args(["sleep"]);
        let container = container.resources(|r| r.hugepage_limits = vec![limit("2MB", 4 << 20), limit("16MB", 0)]);
        let group = group(&container.start().await).await;
        for file in ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"] {
            assert_eq!(said(&group, file), "4194304", "{file}");
        }
    });
}

#[test]
fn a_container_with_room_for_nothing_but_itself_starts() {
    on_a_node(async |node| {
        let pod = node.pod("small").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).memory_limit(3 * MIB);
        let container = container.resources(|r| drop(r.unified.insert("pids.max".into(), "1".into()))).start().await;
        assert_eq!(said(&group(&container).await, "memory.events").lines().last(), Some("oom_group_kill 0"));
    });
}

#[test]
fn a_file_that_is_no_limit_of_this_kernel_is_named_and_nothing_is_left() {
    on_a_node(async |node| {
        let pod = node.pod("unknown").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]);
        let container = container.resources(|r| drop(r.unified.insert("memory.most".into(), "1".into())));
        let container = container.create().await;
        let error = container.try_start().await.unwrap_err();
        assert!(error.message().contains("memory.most"), "{error:?}");
        let witness = pod.container("w").image(TINY).args(["sleep"]).start().await;
        let group = group(&witness).await;
        assert_eq!(below(group.parent().unwrap()), [group.as_path()], "the group of the one that failed is gone");
    });
}
