// SPDX-License-Identifier: Apache-2.0
//! Tests limits: they are in force from the first instruction, change all or none, and OOM kills are reported correctly.

mod driver;

use driver::{Bench, Running, layout};
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{Resources, UpdateResources, reply, request::Verb};

/// The value of a limit, by its v1 or v2 name.
fn limit(bench: &Bench, v1: &str, v2: &str) -> Option<String> {
    bench.cgroup_file(if layout().unified_has_controllers { v2 } else { v1 })
}

fn update(container: &mut Running, resources: Resources) -> reply::Body {
    container.ask(Verb::UpdateResources(UpdateResources { resources: Some(resources), oom_score_adj: None }))
}

fn limited() -> Bench {
    let mut bench = Bench::new(&["/bin/sleep", "100"]);
    *bench.resources() = Resources {
        cpu_shares: 512,
        cpu_period_us: 100_000,
        cpu_quota_us: 50_000,
        memory_limit_bytes: 64 << 20,
        memory_swap_limit_bytes: 64 << 20,
        pids_limit: 50,
        ..Resources::default()
    };
    bench
}

#[test]
fn limits_are_in_the_cgroup_files_and_every_process_is_under_them() {
    let mut container = limited().run();
    let bench = &container.bench;
    assert_eq!(limit(bench, "memory.limit_in_bytes", "memory.max").as_deref(), Some("67108864"));
    assert_eq!(limit(bench, "pids.max", "pids.max").as_deref(), Some("50"));
    if layout().unified_has_controllers {
        assert_eq!(bench.cgroup_file("cpu.max").as_deref(), Some("50000 100000"));
        assert_eq!(bench.cgroup_file("cpu.weight").as_deref(), Some("59"));
        assert_eq!(bench.cgroup_file("memory.swap.max").as_deref(), Some("0"));
    } else {
        assert_eq!(bench.cgroup_file("cpu.cfs_quota_us").as_deref(), Some("50000"));
        assert_eq!(bench.cgroup_file("cpu.shares").as_deref(), Some("512"));
        assert_eq!(bench.cgroup_file("memory.memsw.limit_in_bytes").as_deref(), Some("67108864"));
    }
    let pid = container.state.pid.to_string();
    for dir in container.bench.cgroup_dirs() {
        let procs = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert!(procs.lines().any(|line| line == pid), "{} holds {procs}", dir.display());
    }
    container.kill();
}

#[test]
fn a_container_is_in_every_hierarchy_and_sees_its_own_group_in_each() {
    let hierarchies = layout().v1;
    let script = "ls /sys/fs/cgroup; cat /proc/self/cgroup; for d in /sys/fs/cgroup/*; do grep -c . $d/tasks; done; \
        for f in cpuset/cpuset.cpus cpuset/cpuset.mems; do grep -q . /sys/fs/cgroup/$f || echo $f is empty; done";
    let mut container = Bench::sh(script).run();
    container.wait();
    let said = container.bench.output("stdout");
    for hierarchy in &hierarchies {
        let name = hierarchy.mount_point.rsplit('/').next().unwrap();
        assert!(said.lines().any(|line| line == name), "{name} is not shown:\n{said}");
        let controllers = hierarchy.controllers.join(",");
        let line = said.lines().find(|line| line.split(':').nth(1) == Some(&controllers));
        assert!(line.is_some_and(|line| line.ends_with(":/")), "{line:?}: it sees its own cgroup as the root:\n{said}");
    }
    if !hierarchies.is_empty() {
        assert!(!said.contains("is empty"), "{said}");
        let alone = said.lines().filter(|line| ["1", "2"].contains(line)).count();
        assert_eq!(alone, hierarchies.len(), "only the shell and grep:\n{said}");
    }
}

#[test]
fn a_cpuset_holds_what_was_asked_for() {
    let mut bench = Bench::sh("grep Cpus_allowed_list /proc/self/status");
    bench.resources().cpuset_cpus = "0".into();
    let mut container = bench.run();
    container.wait();
    assert_eq!(container.bench.output("stdout"), "Cpus_allowed_list:\t0\n");
}

#[test]
fn a_process_that_takes_too_much_memory_is_reported_as_oom_killed() {
    for script in ["dd if=/dev/zero of=/dev/null bs=200M", "dd if=/dev/zero of=/dev/null bs=200M; exit $?"] {
        let mut bench = Bench::sh(script);
        *bench.resources() =
            Resources { memory_limit_bytes: 32 << 20, memory_swap_limit_bytes: 32 << 20, ..Resources::default() };
        let state = bench.run().wait();
        assert_eq!((state.exit_code, state.oom_killed), (137, true), "{script}");
    }
}

#[test]
fn a_killed_helper_does_not_make_a_good_end_an_oom() {
    let mut bench = Bench::sh("dd if=/dev/zero of=/dev/null bs=200M; exit 0");
    *bench.resources() =
        Resources { memory_limit_bytes: 32 << 20, memory_swap_limit_bytes: 32 << 20, ..Resources::default() };
    let state = bench.run().wait();
    assert_eq!((state.exit_code, state.oom_killed), (0, false));
}

#[test]
fn a_kill_that_was_asked_for_is_no_oom_whatever_happened_before() {
    let mut bench = Bench::sh("dd if=/dev/zero of=/dev/null bs=200M; echo went on; while :; do sleep 1; done");
    *bench.resources() =
        Resources { memory_limit_bytes: 32 << 20, memory_swap_limit_bytes: 32 << 20, ..Resources::default() };
    let mut container = bench.run();
    driver::eventually("the helper is killed", || container.bench.output("stdout") == "went on\n");
    let kill = gorae_proto::shim::Signal { exec: 0, number: 9 };
    container.done(gorae_proto::shim::request::Verb::Signal(kill));
    let state = container.wait();
    assert_eq!((state.exit_code, state.oom_killed), (137, false));
}

#[test]
fn an_update_changes_what_it_names_and_leaves_the_rest() {
    let mut container = limited().run();
    let grow = Resources {
        memory_limit_bytes: 128 << 20,
        memory_swap_limit_bytes: 128 << 20,
        cpu_quota_us: -1,
        ..Resources::default()
    };
    assert!(matches!(update(&mut container, grow), reply::Body::Done(_)));
    let bench = &container.bench;
    assert_eq!(limit(bench, "memory.limit_in_bytes", "memory.max").as_deref(), Some("134217728"));
    assert_eq!(
        limit(bench, "cpu.cfs_quota_us", "cpu.max").as_deref().map(|v| v.split(' ').next().unwrap() != "50000"),
        Some(true)
    );
    assert_eq!(limit(bench, "pids.max", "pids.max").as_deref(), Some("50"));
    let shrink = Resources { memory_limit_bytes: 32 << 20, memory_swap_limit_bytes: 32 << 20, ..Resources::default() };
    assert!(matches!(update(&mut container, shrink), reply::Body::Done(_)));
    assert_eq!(limit(&container.bench, "memory.limit_in_bytes", "memory.max").as_deref(), Some("33554432"));
    container.kill();
}

#[test]
fn an_update_that_fails_half_way_changes_nothing() {
    let mut container = limited().run();
    let bad = Resources {
        cpu_shares: 2048,
        memory_limit_bytes: 100 << 20,
        memory_swap_limit_bytes: 100 << 20,
        cpuset_cpus: "4000-5000".into(),
        ..Resources::default()
    };
    let before: Vec<_> = ["cpu.shares", "cpu.weight", "memory.limit_in_bytes", "memory.max"]
        .map(|f| container.bench.cgroup_file(f))
        .to_vec();
    let answer = update(&mut container, bad);
    assert!(matches!(&answer, reply::Body::Failure(f) if f.step == "set limit"), "{answer:?}");
    let after: Vec<_> = ["cpu.shares", "cpu.weight", "memory.limit_in_bytes", "memory.max"]
        .map(|f| container.bench.cgroup_file(f))
        .to_vec();
    assert_eq!(before, after);
    container.kill();
}

#[test]
fn a_limit_that_cannot_be_set_fails_the_start_and_leaves_no_cgroup() {
    let mut bench = Bench::sh("true");
    bench.resources().cpu_period_us = 1;
    bench.resources().cpu_quota_us = 1;
    let (failure, bench) = bench.try_run().err().expect("refused by the kernel");
    assert_eq!((failure.kind(), failure.step.as_str()), (Kind::InvalidArgument, "set limit"));
    bench.assert_clean();
}

#[test]
fn a_pids_limit_of_one_starts_the_container_and_stops_its_forks() {
    let mut bench = Bench::sh("echo alive; sleep 0.01; echo $?");
    bench.resources().pids_limit = 1;
    let mut container = bench.run();
    container.wait();
    assert!(container.bench.output("stdout").starts_with("alive\n"), "{}", container.bench.log());
    assert!(container.bench.output("stderr").contains("can't fork"), "{}", container.bench.log());
}
