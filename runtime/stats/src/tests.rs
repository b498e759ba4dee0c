// SPDX-License-Identifier: Apache-2.0
//! Reads fake v2 groups, and real groups of the machine that runs the test.

use super::*;
use cgroups_rs::fs::hierarchies;
use cgroups_rs::fs::{Cgroup, cpuacct::CpuAcctController, memory::MemController, pid::PidController};
use gorae_cgroups::Hierarchies;
use gorae_proto::cri;
use gorae_proto::shim::CgroupLayout;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

const V2_FILES: &[(&str, &str)] = &[
    (
        "cpu.stat",
        "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 9000000\n",
    ),
    (
        "cpu.pressure",
        "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n",
    ),
    ("memory.current", "10000\n"),
    ("memory.max", "50000\n"),
    ("memory.peak", "20000\n"),
    (
        "memory.stat",
        "anon 4000\nfile 6000\nkernel 500\nfile_mapped 1200\ninactive_file 3000\npgfault 77\npgmajfault 5\n",
    ),
    ("memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n"),
    ("memory.swap.current", "100\n"),
    ("memory.swap.max", "1000\n"),
    (
        "memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
    ),
    (
        "io.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=4000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\n",
    ),
    ("io.stat", "8:0 rbytes=11 wbytes=12 rios=13 wios=14 dbytes=0 dios=0\n"),
    ("pids.current", "4\n"),
    ("pids.max", "max\n"),
    ("hugetlb.2MB.current", "4194304\n"),
];

/// A fake pure v2 machine, made of plain files, with one group.
fn made_up(files: &[(&str, &str)]) -> (tempfile::TempDir, Stats) {
    let root = tempfile::tempdir().unwrap();
    let group = root.path().join("pod/container");
    std::fs::create_dir_all(&group).unwrap();
    for (file, text) in files {
        std::fs::write(group.join(file), text).unwrap();
    }
    std::fs::write(group.join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
    let unified = root.path().display().to_string();
    let layout = CgroupLayout { unified, unified_has_controllers: true, v1: Vec::new() };
    let stats = Stats::new(Arc::new(Hierarchies::of_mount_table(&layout).expect("the hierarchies exist")), root.path());
    (root, stats)
}

fn of(value: Option<cri::UInt64Value>) -> Option<u64> {
    value.map(|value| value.value)
}

#[test]
fn v2_numbers_follow_the_formulas() {
    let (root, stats) = made_up(V2_FILES);
    let read = stats.container(cri::ContainerAttributes::default(), "/pod/container", root.path()).unwrap();
    let (cpu, memory, swap) = (read.cpu.unwrap(), read.memory.unwrap(), read.swap.unwrap());
    assert_eq!(of(cpu.usage_core_nano_seconds), Some(5_000_000_000));
    assert_eq!(of(cpu.usage_nano_cores), None, "one reading gives no rate");
    assert_eq!(cpu.psi.unwrap().some.unwrap().total, 2_500_000_000);
    assert_eq!(of(memory.usage_bytes), Some(10_000));
    assert_eq!(of(memory.working_set_bytes), Some(7_000));
    assert_eq!(of(memory.available_bytes), Some(43_000));
    assert_eq!(of(memory.rss_bytes), Some(4_000));
    assert_eq!((of(memory.page_faults), of(memory.major_page_faults)), (Some(77), Some(5)));
    assert_eq!((of(swap.swap_usage_bytes), of(swap.swap_available_bytes)), (Some(100), Some(900)));
    assert_eq!(read.io.unwrap().psi.unwrap().full.unwrap().total, 2_000_000_000);
    assert!(read.writable_layer.unwrap().inodes_used.unwrap().value > 0);
}

#[test]
fn what_the_kernel_does_not_say_is_unset() {
    let (root, stats) = made_up(&[("cpu.stat", "usage_usec 1\n"), ("memory.current", "10\n"), ("memory.max", "max\n")]);
    let read = stats.container(cri::ContainerAttributes::default(), "/pod/container", root.path()).unwrap();
    let memory = read.memory.unwrap();
    assert_eq!(of(memory.available_bytes), None, "nothing is available without a limit");
    assert_eq!((of(memory.rss_bytes), of(memory.page_faults), memory.psi), (None, None, None));
    assert_eq!((read.swap, read.io, read.cpu.unwrap().psi), (None, None, None));
}

#[test]
fn usage_below_the_inactive_cache_does_not_wrap() {
    let (root, stats) = made_up(&[
        ("cpu.stat", ""),
        ("memory.current", "10\n"),
        ("memory.max", "5\n"),
        ("memory.stat", "inactive_file 20\n"),
    ]);
    let read = stats.container(cri::ContainerAttributes::default(), "/pod/container", root.path()).unwrap();
    assert_eq!(of(read.memory.unwrap().working_set_bytes), Some(0));
}

#[test]
fn a_group_that_is_gone_is_none_and_does_not_spoil_the_others() {
    let (root, stats) = made_up(V2_FILES);
    assert_eq!(stats.container(cri::ContainerAttributes::default(), "/gone", root.path()), None);
    assert_eq!(stats.pod(cri::PodSandboxAttributes::default(), "/gone", None, Vec::new()), None);
    let here = subject("/pod/container", root.path(), std::process::id());
    let gone = subject("/gone", root.path(), std::process::id());
    assert_eq!(stats.metrics(&pod_subject("/pod", None), &[gone, here]).container_metrics.len(), 1);
}

fn subject<'a>(cgroup: &'a str, upper: &'a Path, pid: u32) -> ContainerSubject<'a> {
    ContainerSubject {
        id: "c1",
        name: "web",
        image: "img",
        cgroup,
        upper,
        pid,
        started_at_ns: 5_000_000_000,
        resources: None,
    }
}

fn pod_subject<'a>(cgroup: &'a str, network: Option<&'a [Interface]>) -> PodSubject<'a> {
    PodSubject { id: "p1", name: "pod", namespace: "ns", cgroup, network }
}

#[test]
fn every_metric_has_a_value_and_labels_as_its_descriptor_says() {
    let (root, stats) = made_up(V2_FILES);
    let interfaces = [Interface { name: "eth0".into(), received: Direction::default(), sent: Direction::default() }];
    let resources = cri::LinuxContainerResources { cpu_quota: 50_000, ..Default::default() };
    let container =
        ContainerSubject { resources: Some(&resources), ..subject("/pod/container", root.path(), std::process::id()) };
    let metrics = stats.metrics(&pod_subject("/pod", Some(&interfaces)), &[container]);
    let all: Vec<_> = metrics.metrics.iter().chain(&metrics.container_metrics[0].metrics).collect();
    let named: HashSet<&str> = all.iter().map(|metric| metric.name.as_str()).collect();
    for descriptor in descriptors() {
        if descriptor.name == "container_hugetlb_max_usage_bytes" {
            continue; // v2 has no such number
        }
        assert!(named.contains(descriptor.name.as_str()), "{} has no value", descriptor.name);
        for metric in all.iter().filter(|metric| metric.name == descriptor.name) {
            assert_eq!(metric.label_values.len(), descriptor.label_keys.len(), "{}", metric.name);
            assert!(metric.value.is_some());
        }
    }
    let value = |name: &str| all.iter().find(|metric| metric.name == name).unwrap().value.unwrap().value;
    assert_eq!(value("container_cpu_usage_seconds_total"), 5);
    assert_eq!(value("container_cpu_cfs_throttled_seconds_total"), 9);
    assert_eq!(value("container_memory_failcnt"), 12);
    assert_eq!(value("container_oom_events_total"), 1);
    assert_eq!(value("container_fs_writes_total"), 14);
    assert_eq!(value("container_threads_max"), 0);
    assert_eq!(value("container_spec_cpu_quota"), 50_000);
    assert_eq!(value("container_spec_memory_swap_limit_bytes"), 51_000, "memory and swap, as the kernel has them");
    assert_eq!(value("container_start_time_seconds"), 5);
    assert_eq!(value("container_pressure_io_stalled_seconds_total"), 2);
    let usage = all.iter().find(|metric| metric.name == "container_cpu_usage_seconds_total").unwrap();
    assert_eq!(usage.label_values, ["/pod/container", "c1", "img", "ns", "pod", "web", "total"]);
    let received = all.iter().find(|metric| metric.name == "container_network_receive_bytes_total").unwrap();
    assert_eq!(received.label_values, ["/pod", "p1", "", "ns", "pod", "POD", "eth0"]);
}

/// Groups on this machine with a sleeping process in each; they are removed at the end.
struct Groups {
    layout: CgroupLayout,
    paths: Vec<String>,
    sleepers: Vec<Child>,
}

impl Groups {
    fn new(count: usize, parent: &str) -> Self {
        let layout = gorae_cgroups::probe().unwrap();
        let parent = format!("/gorae-test-{parent}-{}", std::process::id());
        let mut groups = Self { layout, paths: vec![parent.clone()], sleepers: Vec::new() };
        groups.paths.extend((0..count).map(|at| format!("{parent}/{at}")));
        for path in &groups.paths {
            groups.directories(path).iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
        }
        for path in &groups.paths[1..] {
            let dirs: Vec<String> = groups.directories(path).iter().map(|dir| dir.display().to_string()).collect();
            // "tasks" moves the shell alone, without the slow lock behind cgroup.procs.
            let script = "for d; do f=$d/tasks; [ -e $f ] || f=$d/cgroup.procs; echo 0 > $f; done; exec sleep 60";
            groups.sleepers.push(Command::new("sh").args(["-c", script, "sh"]).args(dirs).spawn().unwrap());
        }
        for child in &groups.sleepers {
            let deadline = Instant::now() + Duration::from_secs(20);
            while std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap() != "sleep\n" {
                assert!(Instant::now() < deadline);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        groups
    }

    fn directories(&self, path: &str) -> Vec<PathBuf> {
        let v1 = self.layout.v1.iter().filter(|hierarchy| !hierarchy.controllers.contains(&"cpuset".into()));
        let mounts = v1.map(|hierarchy| hierarchy.mount_point.as_str());
        mounts
            .chain(Some(self.layout.unified.as_str()).filter(|m| !m.is_empty()))
            .map(|m| format!("{m}{path}").into())
            .collect()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for child in &mut self.sleepers {
            let _ = child.kill();
            let _ = child.wait();
        }
        for path in self.paths.iter().rev() {
            for dir in self.directories(path) {
                let deadline = Instant::now() + Duration::from_secs(5);
                while std::fs::remove_dir(&dir).is_err_and(|e| e.raw_os_error() == Some(libc::EBUSY))
                    && Instant::now() < deadline
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }
}

#[test]
fn a_real_group_reads_as_cgroups_rs_reads_it() {
    let groups = Groups::new(1, "agree");
    let path = groups.paths[1].clone();
    let stats = Stats::new(
        Arc::new(Hierarchies::of_mount_table(&groups.layout).expect("the hierarchies exist")),
        Path::new("/tmp"),
    );
    let theirs = Cgroup::load(hierarchies::auto(), path.trim_start_matches('/'));
    let both = || {
        let read = stats.container(cri::ContainerAttributes::default(), &path, Path::new("/nonexistent")).unwrap();
        let memory = theirs.controller_of::<MemController>().unwrap().memory_stat();
        let usage = theirs.controller_of::<CpuAcctController>().map(|accounting| accounting.cpuacct().usage);
        let rss = (!groups.layout.unified_has_controllers).then_some(memory.stat.total_rss);
        (read, memory.usage_in_bytes, rss, usage)
    };
    let agree = |read: &cri::ContainerStats, rss: Option<u64>, usage: Option<u64>| {
        (rss.is_none() || of(read.memory.unwrap().rss_bytes) == rss)
            && (usage.is_none() || of(read.cpu.unwrap().usage_core_nano_seconds) == usage)
    };
    // Between the two readings the process may go to sleep, and the kernel may fold its per-CPU counts into the total.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (read, in_use, rss, usage) = loop {
        let (read, in_use, rss, usage) = both();
        if agree(&read, rss, usage) || Instant::now() > deadline {
            break (read, in_use, rss, usage);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let used = of(read.memory.unwrap().usage_bytes).unwrap();
    assert!(used > 0 && used.abs_diff(in_use) <= 1 << 20, "{used} and {in_use}");
    assert!(agree(&read, rss, usage), "{read:?}, {rss:?}, {usage:?}");
    let pod =
        stats.pod(cri::PodSandboxAttributes::default(), &groups.paths[0], None, vec![read]).unwrap().linux.unwrap();
    let tasks = theirs.controller_of::<PidController>().unwrap().get_pid_current().unwrap();
    assert_eq!(of(pod.process.unwrap().process_count), Some(tasks));
    assert_eq!(pod.memory.unwrap().available_bytes, None, "no limit");
}

#[test]
fn fifty_containers_are_read_within_the_promised_times() {
    let groups = Groups::new(50, "fifty");
    let layer = tempfile::tempdir().unwrap();
    let stats =
        Stats::new(Arc::new(Hierarchies::of_mount_table(&groups.layout).expect("the hierarchies exist")), layer.path());
    // CPU time of this thread: other load on the machine does not count.
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let median = |name: &str, run: &dyn Fn()| {
        run();
        let mut times: Vec<(Duration, Duration)> = (0..21)
            .map(|_| {
                let (start, before) = (Instant::now(), spent());
                run();
                (spent() - before, start.elapsed())
            })
            .collect();
        times.sort_unstable();
        println!("{name}: {:?} of processor time, {:?} by the clock", times[10].0, times[10].1);
        times[10].0
    };
    let containers = median("50 x container", &|| {
        for path in &groups.paths[1..] {
            assert!(stats.container(cri::ContainerAttributes::default(), path, layer.path()).is_some());
        }
    });
    let pods = median("50 x pod", &|| {
        for path in &groups.paths[1..] {
            assert!(stats.pod(cri::PodSandboxAttributes::default(), path, None, Vec::new()).is_some());
        }
    });
    let netns = format!("gorae-stats-fifty-{}", std::process::id());
    let ip = |args: &[&str]| assert!(Command::new("ip").args(args).status().unwrap().success());
    ip(&["netns", "add", &netns]);
    let pins = vec![Some(PathBuf::from(format!("/run/netns/{netns}"))); 50];
    let network = median("50 x network", &|| {
        assert!(interfaces_of_pods(pins.clone()).iter().all(Option::is_some));
    });
    ip(&["netns", "del", &netns]);
    let metrics = median("50 x metrics", &|| {
        for (path, sleeper) in groups.paths[1..].iter().zip(&groups.sleepers) {
            let container = subject(path, layer.path(), sleeper.id());
            assert_eq!(stats.metrics(&pod_subject(path, None), &[container]).container_metrics.len(), 1);
        }
    });
    // A debug build takes about three times as long as a release build; the network is read on another thread.
    let promised = Duration::from_millis(5);
    assert!(
        containers < 3 * promised && pods < 3 * promised && network < promised,
        "{containers:?} {pods:?} {network:?}"
    );
    assert!(metrics < 6 * promised, "{metrics:?}");
}
