// SPDX-License-Identifier: Apache-2.0
//! Tests execs in a running container, and that they leave nothing behind.

mod driver;

use driver::{Bench, Running, words};
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{EndExec, Exec, ResizeTty, push, reply, request::Verb};
use std::fs;
use std::time::{Duration, Instant};

const CAP_SYS_PTRACE: u32 = 19;

fn sleeper() -> Running {
    Bench::new(&["/bin/sleep", "1000"]).run()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("readable").count()
}

fn exec_cgroups(container: &Running) -> usize {
    let dirs = container.bench.cgroup_dirs();
    let inside = dirs.iter().flat_map(|d| fs::read_dir(d).expect("readable").flatten());
    inside.filter(|e| e.file_name().to_string_lossy().starts_with("exec-")).count()
}

#[test]
fn an_exec_has_its_own_streams_and_exit_code() {
    let mut container = sleeper();
    let (exited, out, err) = container.exec(&["sh", "-c", "echo out; echo err >&2; exit 9"]);
    assert_eq!((exited.exit_code, exited.timed_out), (9, false));
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    let (exited, ..) = container.exec(&["sh", "-c", "kill -9 $$"]);
    assert_eq!(exited.exit_code, 137);
    container.kill();
}

#[test]
fn an_exec_is_in_the_containers_namespaces_cgroup_and_identity() {
    let mut bench = Bench::new(&["/bin/sleep", "1000"]);
    bench.process().user.as_mut().unwrap().user = "bob".into();
    bench.process().no_new_privs = true;
    bench.process().oom_score_adj = Some(gorae_proto::shim::OomScoreAdj { value: 500 });
    let mut container = bench.run();
    let script = "id; for k in pid mnt net ipc uts; do readlink /proc/self/ns/$k; done; env; cat /proc/self/oom_score_adj; grep -E 'Cap|NoNew' /proc/self/status; pwd";
    let (_, exec_sees, _) = container.exec(&["sh", "-c", script]);
    assert!(exec_sees.contains("uid=1000(bob) gid=100(users) groups=10(wheel),100(users)"), "{exec_sees}");
    assert!(exec_sees.contains("CONTAINER=test") && exec_sees.contains("HOME=/home/bob"), "{exec_sees}");
    assert!(exec_sees.contains("HOSTNAME=box") && exec_sees.contains("\n500\n"), "{exec_sees}");
    assert!(exec_sees.contains("CapEff:\t0000000000000000") && exec_sees.contains("CapBnd:\t00000000a80425fb"));
    assert!(exec_sees.contains("NoNewPrivs:\t1"));
    for kind in ["pid", "mnt", "net", "ipc", "uts"] {
        let link = fs::read_link(format!("/proc/{}/ns/{kind}", container.state.pid)).unwrap();
        assert!(exec_sees.contains(&link.display().to_string()), "{kind}");
    }
    let (_, cgroup, _) = container.exec(&["cat", "/proc/self/cgroup"]);
    for line in cgroup.lines() {
        let path = line.rsplit(':').next().unwrap();
        assert!(path == "/" || path.starts_with("/exec-"), "{line} of\n{cgroup}");
    }
    container.kill();
}

/// CAP_SYS_PTRACE gives access to the root and the descriptors of every visible process.
#[test]
fn no_process_of_the_container_sees_the_host_through_an_exec_that_is_born() {
    let mut bench = Bench::sh("");
    let host = bench.path("layer").display().to_string();
    let script = format!(
        "while [ ! -e /stop ]; do for p in /proc/[0-9]*; do [ -e $p/root{host} ] && echo $p sees the host; \
         for d in $p/fd/*; do [ -d $d ] && echo $p has a directory; done; done; done; echo watched"
    );
    bench.process().args = words(&["/bin/sh", "-c", &script]);
    let capabilities = bench.process().capabilities.as_mut().unwrap();
    for set in [&mut capabilities.bounding, &mut capabilities.permitted, &mut capabilities.effective] {
        *set |= 1 << CAP_SYS_PTRACE;
    }
    let mut container = bench.run();
    for _ in 0..300 {
        assert_eq!(container.exec(&["true"]).0.exit_code, 0);
    }
    container.exec(&["touch", "/stop"]);
    container.wait();
    assert_eq!(container.bench.output("stdout"), "watched\n");
}

#[test]
fn an_exec_that_is_ended_at_its_birth_leaves_nothing() {
    let mut container = sleeper();
    let shim = container.shim.as_ref().unwrap().process.id();
    for id in 1..=200 {
        let exec = Exec { args: words(&["sleep", "1000"]), ..Exec::default() };
        let asked = container.line().send(Verb::Exec(exec), &[]);
        let ended = container.line().send(Verb::EndExec(EndExec { exec: id }), &[]);
        assert!(matches!(container.line().wait_reply(ended).0, reply::Body::Done(_)));
        match container.line().wait_reply(asked).0 {
            reply::Body::ExecStarted(started) => assert_eq!(started.exec, id),
            other => panic!("{other:?}"),
        }
        assert_eq!(container.wait_exec().exit_code, 137);
    }
    driver::eventually("only the container is left", || {
        let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
        children.split_whitespace().count() == 1 && exec_cgroups(&container) == 0
    });
    container.kill();
}

#[test]
fn a_command_that_is_not_there_is_an_error_that_names_it() {
    let mut container = sleeper();
    let failure = container.begin_exec(Exec { args: words(&["nope"]), ..Exec::default() }).unwrap_err();
    assert_eq!(failure.kind(), Kind::NotFound);
    assert_eq!(failure.message, "exec \"nope\": executable file not found in $PATH");
    let failure = container.begin_exec(Exec::default()).unwrap_err();
    assert_eq!(failure.kind(), Kind::InvalidArgument);
    let exec = Exec { args: words(&["true"]), cwd: "/nowhere".into(), ..Exec::default() };
    assert_eq!(container.begin_exec(exec).unwrap_err().kind(), Kind::NotFound);
    driver::eventually("the failed execs leave nothing", || exec_cgroups(&container) == 0);
    container.kill();
}

#[test]
fn a_timeout_kills_the_whole_tree() {
    let mut container = sleeper();
    let begin = Instant::now();
    let script = "setsid sleep 777 & sleep 777 & sleep 777";
    let exec = Exec { args: words(&["sh", "-c", script]), timeout_ms: 300, ..Exec::default() };
    let (exited, ..) = container.exec_with(exec);
    assert_eq!((exited.exit_code, exited.timed_out), (137, true));
    assert!(
        (Duration::from_millis(300)..Duration::from_millis(600)).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
    let (_, ps, _) = container.exec(&["ps"]);
    assert!(!ps.contains("777"), "{ps}");
    assert_eq!(exec_cgroups(&container), 0);
    container.kill();
}

#[test]
fn what_a_command_leaves_behind_stays_and_goes_with_the_container() {
    let mut container = sleeper();
    let script = "sleep 300 >/dev/null 2>&1 & echo hi";
    let (exited, out, _) = container.exec_with(Exec { args: words(&["sh", "-c", script]), ..Exec::default() });
    assert_eq!((exited.exit_code, out.as_str()), (0, "hi\n"));
    let (_, ps, _) = container.exec(&["ps"]);
    assert!(ps.contains("sleep 300"), "{ps}");
    assert_eq!(exec_cgroups(&container), 1);
    let begin = Instant::now();
    container.kill();
    assert!(begin.elapsed() < Duration::from_secs(5), "the shim waited for it: {:?}", begin.elapsed());
}

#[test]
fn what_a_command_leaves_behind_outlives_its_daemon_and_takes_its_cgroup_along() {
    let mut container = sleeper();
    let mut other = driver::Line::connect(&container.bench.path("run"));
    let verb = Verb::Exec(Exec { args: words(&["sh", "-c", "sleep 301 >/dev/null 2>&1 &"]), ..Exec::default() });
    assert!(matches!(other.ask(verb).0, reply::Body::ExecStarted(_)));
    while !matches!(other.next_push(), Some(push::Body::ExecExited(_))) {}
    drop(other);
    let ps = |container: &mut Running| container.exec(&["ps"]).1;
    for _ in 0..3 {
        let ps = ps(&mut container);
        assert!(ps.contains("sleep 301"), "{ps}");
    }
    assert_eq!(exec_cgroups(&container), 1);
    let pid = ps(&mut container).lines().find(|line| line.contains("sleep 301")).expect("it runs").to_owned();
    container.exec(&["kill", pid.split_whitespace().next().expect("a number")]);
    driver::eventually("its cgroup is gone", || exec_cgroups(&container) == 0);
    container.kill();
}

#[test]
fn end_exec_kills_the_tree_and_the_exit_follows() {
    let mut container = sleeper();
    let exec = Exec { args: words(&["sh", "-c", "sleep 888 & sleep 888"]), ..Exec::default() };
    let (out, _err) = container.begin_exec(exec).unwrap();
    container.done(Verb::EndExec(EndExec { exec: 1 }));
    assert_eq!(container.wait_exec().exit_code, 137);
    assert_eq!(driver::drain(out), "");
    container.kill();
}

#[test]
fn an_exec_whose_daemon_is_gone_is_ended() {
    let mut container = sleeper();
    let mut other = driver::Line::connect(&container.bench.path("run"));
    let verb = Verb::Exec(Exec { args: words(&["sleep", "999"]), ..Exec::default() });
    assert!(matches!(other.ask(verb).0, reply::Body::ExecStarted(_)));
    let (_, ps, _) = container.exec(&["ps"]);
    assert!(ps.contains("sleep 999"), "{ps}");
    drop(other);
    std::thread::sleep(Duration::from_millis(100));
    let (_, ps, _) = container.exec(&["ps"]);
    assert!(!ps.contains("sleep 999"), "{ps}");
    container.kill();
}

#[test]
fn an_exec_with_a_terminal_has_one_of_its_own_and_its_size() {
    use std::io::{Read, Write};
    let mut container = sleeper();
    let script = "tty; stty size; read x; stty size; echo got $x";
    let exec = Exec { args: words(&["sh", "-c", script]), tty: true, rows: 24, columns: 80, ..Exec::default() };
    let (answer, mut fds) = container.line().ask(Verb::Exec(exec));
    let reply::Body::ExecStarted(started) = answer else { panic!("{answer:?}") };
    let mut master = fs::File::from(fds.pop().expect("the master"));
    let mut text = String::new();
    let mut chunk = [0; 256];
    while !text.contains("24 80") {
        let n = master.read(&mut chunk).unwrap();
        text.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
    }
    container.done(Verb::ResizeTty(ResizeTty { exec: started.exec, rows: 50, columns: 132 }));
    master.write_all(b"word\n").unwrap();
    // Reading a terminal whose last process is gone fails with an I/O error.
    while let Ok(n @ 1..) = master.read(&mut chunk) {
        text.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
    }
    assert!(text.contains("/dev/pts/0") && text.contains("50 132") && text.contains("got word"), "{text}");
    assert_eq!(container.wait_exec().exit_code, 0);
    container.kill();
}

/// Runs a command with a terminal until it ends; returns what it wrote to the terminal.
fn on_a_terminal(container: &mut Running, env: &[&str], script: &str) -> String {
    use std::io::Read;
    let exec = Exec { args: words(&["sh", "-c", script]), env: words(env), tty: true, ..Exec::default() };
    let (answer, mut fds) = container.line().ask(Verb::Exec(exec));
    assert!(matches!(answer, reply::Body::ExecStarted(_)), "{answer:?}");
    let (mut text, mut chunk) = (String::new(), [0; 256]);
    let mut master = fs::File::from(fds.pop().expect("the master"));
    while let Ok(n @ 1..) = master.read(&mut chunk) {
        text.push_str(std::str::from_utf8(&chunk[..n]).expect("UTF-8"));
    }
    container.wait_exec();
    text
}

#[test]
fn a_terminal_is_an_xterm_where_neither_container_nor_request_say_what_it_is() {
    const SHOW: &str = "echo ${TERM-none}";
    let mut container = sleeper();
    assert_eq!(on_a_terminal(&mut container, &[], SHOW), "xterm\r\n");
    assert_eq!(on_a_terminal(&mut container, &["PATH=/bin", "TERM=vt100"], SHOW), "vt100\r\n");
    assert_eq!(on_a_terminal(&mut container, &["PATH=/bin", "TERM="], SHOW), "\r\n");
    assert_eq!(on_a_terminal(&mut container, &["PATH=/bin", "XTERM=1"], SHOW), "xterm\r\n");
    assert_eq!(container.exec(&["sh", "-c", SHOW]).1, "none\n", "no terminal, so TERM is not set");
    container.kill();
    let mut bench = Bench::new(&["/bin/sleep", "1000"]);
    bench.process().env.push(b"TERM=linux".to_vec());
    let mut container = bench.run();
    assert_eq!(on_a_terminal(&mut container, &[], SHOW), "linux\r\n");
    container.kill();
}

#[test]
fn an_empty_home_is_none_and_comes_from_the_user_database() {
    for (given, home) in [("HOME=", "/home/bob\n"), ("HOME=/srv", "/srv\n"), ("HOME_=", "/home/bob\n")] {
        let mut bench = Bench::new(&["/bin/sleep", "1000"]);
        bench.process().user.as_mut().unwrap().user = "bob".into();
        bench.process().env.push(given.as_bytes().to_vec());
        let mut container = bench.run();
        assert_eq!(container.exec(&["sh", "-c", "echo $HOME"]).1, home, "{given}");
        container.kill();
    }
}

#[test]
fn a_thousand_execs_leave_no_descriptor_no_zombie_no_cgroup_and_no_memory() {
    let mut container = sleeper();
    let shim = container.shim.as_ref().unwrap().process.id();
    let memory = || {
        let rollup = fs::read_to_string(format!("/proc/{shim}/smaps_rollup")).unwrap();
        let line = rollup.lines().find(|l| l.starts_with("Anonymous:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    for _ in 0..50 {
        container.exec(&["true"]);
    }
    std::thread::sleep(Duration::from_millis(20));
    let before = (descriptors(shim), memory());
    for _ in 0..1000 {
        assert_eq!(container.exec(&["true"]).0.exit_code, 0);
    }
    driver::eventually("all descriptors are closed", || descriptors(shim) == before.0);
    assert!(memory() <= before.1 + 16, "{} kB after {} kB", memory(), before.1);
    assert_eq!(exec_cgroups(&container), 0);
    let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    assert_eq!(children.split_whitespace().count(), 1, "only the container");
    container.kill();
}

#[test]
fn execs_that_run_when_the_container_ends_are_told_to_be_over() {
    let mut container = sleeper();
    container.begin_exec(Exec { args: words(&["sleep", "555"]), ..Exec::default() }).unwrap();
    container.done(Verb::Signal(gorae_proto::shim::Signal { exec: 0, number: 9 }));
    assert_eq!(container.wait_exec().exit_code, 137);
    assert_eq!(container.wait().exit_code, 137);
}
