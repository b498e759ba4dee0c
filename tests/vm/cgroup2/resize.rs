// SPDX-License-Identifier: Apache-2.0
//! UpdateContainerResources: in place, all or nothing.

use crate::{MIB, group, resize, said};
use gorae_proto::cri::LinuxContainerResources;
use gorae_tests::{TINY, on_a_node};

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
fn memory_alone_can_be_changed_and_brings_no_swap() {
    on_a_node(async |node| {
        let pod = node.pod("memory").run().await;
        for (name, swap) in [("unset", 0), ("same", 64 * MIB)] {
            let container = pod.container(name).image(TINY).args(["sleep"]).resources(|r| {
                (r.memory_limit_in_bytes, r.memory_swap_limit_in_bytes) = (64 * MIB, swap);
            });
            let container = container.start().await;
            let group = group(&container).await;
            for memory in [96 * MIB, 32 * MIB] {
                let new = LinuxContainerResources { memory_limit_in_bytes: memory, ..Default::default() };
                resize(&pod, &container, new).await.unwrap();
                assert_eq!(said(&group, "memory.max"), memory.to_string(), "{name}");
                assert_eq!(said(&group, "memory.swap.max"), "0", "{name}");
            }
        }
    });
}

#[test]
fn a_period_alone_keeps_the_quota_and_a_quota_alone_the_period() {
    on_a_node(async |node| {
        let pod = node.pod("cpu").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]);
        let container = container.resources(|r| (r.cpu_period, r.cpu_quota) = (100_000, 50_000)).start().await;
        let group = group(&container).await;
        let steps = [((200_000, 0), "50000 200000"), ((0, 70_000), "70000 200000"), ((0, -1), "max 200000")];
        for ((cpu_period, cpu_quota), wanted) in steps {
            let new = LinuxContainerResources { cpu_period, cpu_quota, ..Default::default() };
            resize(&pod, &container, new).await.unwrap();
            assert_eq!(said(&group, "cpu.max"), wanted);
        }
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
            cpuset_cpus: "0".into(),
            ..Default::default()
        };
        new.unified.insert("pids.max".into(), "many".into());
        let error = resize(&pod, &container, new).await.unwrap_err();
        assert!(error.message().contains("pids.max"), "{error:?}");
        assert_eq!(said(&group, "memory.max"), (64 * MIB).to_string());
        let told = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
        assert_eq!((told.memory_limit_in_bytes, told.cpuset_cpus.as_str()), (64 * MIB, ""));
    });
}

/// A whole disk of this machine, as `io.max` names it.
fn disk() -> String {
    let disks = std::fs::read_dir("/sys/block").unwrap().flatten().filter(|disk| disk.path().join("device").exists());
    let number = |disk: std::fs::DirEntry| std::fs::read_to_string(disk.path().join("dev")).unwrap().trim().to_owned();
    disks.map(number).min().expect("the machine has a disk")
}

#[test]
fn a_resize_that_is_refused_leaves_the_limits_of_devices_as_they_were() {
    on_a_node(async |node| {
        let (pod, disk) = (node.pod("devices").run().await, disk());
        let io = |value: String| [("io.max".to_owned(), format!("{disk} {value}"))].into();
        for (name, first) in [("unlimited", None), ("limited", Some("wbps=2097152"))] {
            let container = pod.container(name).image(TINY).args(["sleep"]);
            let container = container.resources(|r| r.unified = first.map(|v| io(v.to_owned())).unwrap_or_default());
            let container = container.start().await;
            let group = group(&container).await;
            let files = ["io.max", "cpu.max", "cpu.weight", "memory.high", "cpuset.cpus", "pids.max"];
            let before = files.map(|file| said(&group, file));
            assert_eq!(before[0].contains("wbps=2097152"), first.is_some(), "{before:?}");
            // What is refused is the last that is written.
            let (cpu_quota, cpu_period, cpu_shares, cpuset_cpus) = (20_000, 100_000, 2048, "4000".to_owned());
            let mut new =
                LinuxContainerResources { cpu_quota, cpu_period, cpu_shares, cpuset_cpus, ..Default::default() };
            new.unified = io("rbps=1048576".into());
            new.unified.insert("memory.high".into(), (50 * MIB).to_string());
            new.unified.insert("pids.max".into(), "77".into());
            let error = resize(&pod, &container, new).await.unwrap_err();
            assert!(error.message().contains("cpuset.cpus") && !error.message().contains("restored"), "{error:?}");
            assert_eq!(files.map(|file| said(&group, file)), before, "{name}");
        }
    });
}

#[test]
fn each_line_of_a_limit_for_devices_is_in_force() {
    on_a_node(async |node| {
        let (pod, disk) = (node.pod("lines").run().await, disk());
        let lines = format!("{disk} rbps=1048576\n{disk} wiops=100\n");
        let container = pod.container("c").image(TINY).args(["sleep"]);
        let container = container.resources(|r| drop(r.unified.insert("io.max".into(), lines))).start().await;
        let group = group(&container).await;
        assert_eq!(said(&group, "io.max"), format!("{disk} rbps=1048576 wbps=max riops=max wiops=100"));
        let mut new = LinuxContainerResources::default();
        new.unified.insert("io.max".into(), format!("{disk} rbps=max\n{disk} wiops=50"));
        resize(&pod, &container, new).await.unwrap();
        assert_eq!(said(&group, "io.max"), format!("{disk} rbps=max wbps=max riops=max wiops=50"));
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
