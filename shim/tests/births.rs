// SPDX-License-Identifier: Apache-2.0
//! Tests programs that start in a PID namespace that others already use, on every kernel and under every filter.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;

use driver::{Bench, Pod, Running, words};
use gorae_proto::shim::namespace::Kind;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CAP_SYS_PTRACE: u32 = 19;

/// Encodes the instructions of a filter: code, jumps, value.
fn filter(instructions: &[(u16, u8, u8, u32)]) -> Vec<u8> {
    let bytes =
        |&(code, yes, no, k): &(u16, u8, u8, u32)| [&code.to_ne_bytes()[..], &[yes, no], &k.to_ne_bytes()].concat();
    instructions.iter().flat_map(bytes).collect()
}

/// A filter that fails one call with `errno`, only with the given argument value if there is one, and allows the rest.
fn without(call: libc::c_long, argument: Option<(u32, u32)>, errno: i32) -> Vec<u8> {
    let refuse = (0x06, 0, 0, 0x0005_0000 | errno as u32);
    let allow = (0x06, 0, 0, 0x7fff_0000);
    match argument {
        None => filter(&[(0x20, 0, 0, 0), (0x15, 0, 1, call as u32), refuse, allow]),
        Some((number, value)) => filter(&[
            (0x20, 0, 0, 0),
            (0x15, 0, 3, call as u32),
            (0x20, 0, 0, 16 + 8 * number),
            (0x15, 0, 1, value),
            refuse,
            allow,
        ]),
    }
}

/// A container that reports every process in which it sees the node's root or a directory (except /proc, for ps), until
/// `/stop` exists.
fn watcher(pod: &Pod) -> Running {
    let mut bench = Bench::sh("");
    let host = bench.path("layer").display().to_string();
    let script = format!(
        "while [ ! -e /stop ]; do for p in /proc/[0-9]*; do [ -e $p/root{host} ] && echo $p sees the host; \
         for d in $p/fd/*; do [ -d $d ] && [ ! -e $d/uptime ] && [ -d $d ] && echo $p has a directory; done; \
         read -r name <$p/comm && [ \"$name\" = gorae-shim ] && echo $p has a name; done; done 2>/dev/null; echo watched"
    );
    bench.process().args = words(&["/bin/sh", "-c", &script]);
    let capabilities = bench.process().capabilities.as_mut().unwrap();
    for set in [&mut capabilities.bounding, &mut capabilities.permitted, &mut capabilities.effective] {
        *set |= 1 << CAP_SYS_PTRACE;
    }
    pod.adopt(&mut bench);
    bench.run()
}

fn has_seen_nothing(mut watcher: Running) {
    // It may end before this command does.
    let touch = driver::exec_of(&["touch", "/stop"]);
    let _output = watcher.begin_exec(touch).unwrap_or_else(|failure| panic!("exec failed: {}", failure.message));
    watcher.wait();
    assert_eq!(watcher.bench.output("stdout"), "watched\n");
}

fn starts(pod: &Pod, count: usize) {
    for _ in 0..count {
        let mut bench = Bench::sh("ps -o args; readlink /proc/self/ns/pid; cat /proc/self/comm; exit 3");
        pod.adopt(&mut bench);
        let mut container = bench.run();
        assert_eq!(container.wait().exit_code, 3);
        let out = container.bench.output("stdout");
        assert!(out.contains("gorae-pod-init") && out.contains("while [ ! -e /stop ]"), "{out}");
        let here = fs::read_link("/proc/self/ns/pid").unwrap().display().to_string();
        assert!(out.contains("pid:[") && !out.contains(&here) && out.ends_with("cat\n"), "{out}");
    }
}

#[test]
fn no_process_of_a_pod_sees_the_host_through_a_container_that_starts() {
    let pod = Pod::new(|setup| setup.own_pid = true);
    let watcher = watcher(&pod);
    starts(&pod, 20);
    has_seen_nothing(watcher);
}

/// The process group and session of a process, and the number of PID namespaces it is in; `None` when it has ended.
fn standing(pid: i32) -> Option<(i32, i32, usize)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(2).map(|field| field.parse::<i32>().unwrap());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let depth = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().count();
    Some((fields.next()?, fields.next()?, depth))
}

/// Calls such as `kill(0)` act on the process group, and a PID namespace does not limit them.
#[test]
fn no_process_of_a_container_is_in_the_group_or_the_session_of_its_shim() {
    let mut container = Bench::sh("sleep 1000").run();
    let shim = container.bench.state_on_disk().shim_pid as i32;
    let own = standing(shim).unwrap();
    assert_eq!((own.0, own.1), (shim, shim), "it leads both");
    let over = Arc::new(AtomicBool::new(false));
    let seen = std::thread::spawn({
        let over = over.clone();
        move || {
            let (mut seen, children) = (0, format!("/proc/{shim}/task/{shim}/children"));
            while !over.load(Ordering::Relaxed) {
                let pids = fs::read_to_string(&children).unwrap();
                for pid in pids.split_whitespace().map(|pid| pid.parse().unwrap()) {
                    let Some((group, session, depth)) = standing(pid) else { continue };
                    if depth > own.2 {
                        assert!(group != shim && session != shim, "{pid}: group {group}, session {session}");
                        seen += 1;
                    }
                }
            }
            seen
        }
    });
    for _ in 0..300 {
        assert_eq!(container.exec(&["true"]).0.exit_code, 0);
    }
    over.store(true, Ordering::Relaxed);
    assert!(seen.join().unwrap() > 300, "the watch was too slow");
    container.kill();
}

/// Before Linux 6.17, procfs cannot be mounted for a given PID namespace: a process inside has to open it.
#[test]
fn no_process_of_a_pod_sees_the_host_on_an_older_kernel() {
    const SYS_FSCONFIG: libc::c_long = 431;
    const FSCONFIG_SET_FD: u32 = 5;
    // Applies only to what this thread starts.
    let on_an_older_kernel = || {
        gorae_shim::sys::load_seccomp(&without(SYS_FSCONFIG, Some((1, FSCONFIG_SET_FD)), libc::EINVAL), 0).unwrap();
        let pod = Pod::new(|setup| setup.own_pid = true);
        let watcher = watcher(&pod);
        starts(&pod, 20);
        has_seen_nothing(watcher);
    };
    std::thread::spawn(on_an_older_kernel).join().unwrap();
}

#[test]
fn a_filter_is_in_force_whatever_it_forbids_on_the_way_to_the_program() {
    // If the filter allows what a birth needs, set-user-id programs keep working; otherwise they do not.
    for (call, no_new_privs) in [(libc::SYS_mkdir, 0), (libc::SYS_setsid, 1), (libc::SYS_clone, 1)] {
        let pod = Pod::new(|setup| setup.own_pid = true);
        let status = "while read -r line; do echo $line; done </proc/self/status";
        let mut bench = Bench::sh(&format!("{status}; echo all; read never"));
        bench.process().seccomp_filter = without(call, None, libc::EPERM);
        bench.start.stdin = true;
        pod.adopt(&mut bench);
        let mut container = bench.run();
        driver::eventually("output", || container.bench.output("stdout").ends_with("all\n"));
        let (exited, of_exec, err) = container.exec(&["sh", "-c", status]);
        assert_eq!(exited.exit_code, 0, "{err}");
        for status in [&container.bench.output("stdout"), &of_exec] {
            assert!(status.contains("\nSeccomp: 2\n"), "{status}");
            assert!(status.contains(&format!("\nNoNewPrivs: {no_new_privs}\n")), "{call}: {status}");
        }
        container.kill();
    }
}

#[test]
fn a_newborn_that_fails_names_the_step_and_leaves_nothing() {
    let pod = Pod::new(|setup| setup.own_pid = true);
    let mut bench = Bench::new(&["nope"]);
    pod.adopt(&mut bench);
    let (failure, bench) = bench.try_run().err().expect("the program does not exist");
    assert_eq!(failure.message, "exec \"nope\": executable file not found in $PATH");
    bench.assert_clean();
    let mut bench = Bench::new(&["true"]);
    pod.adopt(&mut bench);
    bench.process().cwd = "/etc/passwd".into();
    let (failure, bench) = bench.try_run().err().expect("no directory");
    assert!(failure.message.contains("/etc/passwd"), "{failure:?}");
    bench.assert_clean();
}

#[test]
fn a_terminal_of_a_container_that_joins_others_is_its_own() {
    let pod = Pod::new(|setup| setup.own_pid = true);
    let mut bench = Bench::sh("tty; echo $(ps -o pid,sid,tty | grep -c pts)");
    bench.process().tty = true;
    pod.adopt(&mut bench);
    let is_pid = bench.start.namespaces.iter().any(|n| n.kind() == Kind::Pid && !n.path.is_empty());
    assert!(is_pid, "it joins");
    let mut container = bench.run();
    assert_eq!(container.wait().exit_code, 0);
    let out = container.bench.output("stdout");
    assert!(out.starts_with("/dev/"), "{out}");
}
