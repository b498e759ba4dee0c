// SPDX-License-Identifier: Apache-2.0
//! Tests a container's life: start, output, exit, signals, stop, and what a failed start leaves behind.

mod driver;

use driver::{Bench, Line, Shim, eventually, processes_with};
use gorae_proto::shim::container_state::Phase;
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::{CleanContainer, GetState, Hook, Hooks, Signal, Stop, reply, request::Verb};
use std::time::{Duration, Instant};

#[test]
fn a_container_runs_and_its_output_is_logged_before_its_exit_is_told() {
    let mut container = Bench::sh("echo hello world; echo oops >&2; exit 7").run();
    assert_eq!((container.state.phase(), container.state.protocol), (Phase::Running, gorae_proto::PROTOCOL));
    let state = container.wait();
    assert_eq!((state.exit_code, state.reason.as_str(), state.oom_killed), (7, "", false));
    assert!(state.started_at_ns > 0 && state.finished_at_ns >= state.started_at_ns);
    assert_eq!(container.bench.output("stdout"), "hello world\n");
    assert_eq!(container.bench.output("stderr"), "oops\n");
}

#[test]
fn a_process_that_dies_of_a_signal_exits_with_128_and_its_number() {
    // Pid 1 ignores signals that it has no handler for, so the shell's child dies and the shell reports it.
    let mut container = Bench::sh("sh -c 'kill -TERM $$'; exit $?").run();
    assert_eq!(container.wait().exit_code, 143);
    let mut container = Bench::new(&["/bin/sleep", "100"]).run();
    container.done(Verb::Signal(Signal { exec: 0, number: 9 }));
    assert_eq!(container.wait().exit_code, 137);
}

#[test]
fn the_last_byte_of_a_loud_container_is_in_the_log() {
    let mut container = Bench::sh("seq 1 200000").run();
    assert_eq!(container.wait().exit_code, 0);
    let output = container.bench.output("stdout");
    assert_eq!(output.lines().count(), 200_000);
    assert!(output.ends_with("200000\n"));
}

#[test]
fn a_command_that_is_not_there_is_named_and_leaves_only_the_record() {
    for (command, message) in [
        ("no-such-command", "exec \"no-such-command\": executable file not found in $PATH"),
        ("/no/such/file", "exec \"/no/such/file\": no such file or directory"),
    ] {
        let (failure, bench) = Bench::new(&[command]).try_run().err().expect("cannot start");
        assert_eq!((failure.kind(), failure.message.as_str()), (Kind::NotFound, message));
        let state = bench.state_on_disk();
        assert_eq!((state.phase(), state.exit_code, state.reason.as_str()), (Phase::Exited, 128, "StartError"));
        assert_eq!(state.message, message);
        assert!(state.finished_at_ns > 0);
        bench.assert_clean();
        assert!(!bench.path("root/upper").exists() && !bench.path("root/work").exists());
    }
}

#[test]
fn a_file_that_cannot_be_executed_says_why() {
    let bench = Bench::new(&["/etc/passwd"]);
    let (failure, bench) = bench.try_run().err().expect("cannot start");
    assert_eq!((failure.kind(), failure.errno), (Kind::PermissionDenied, libc::EACCES));
    bench.assert_clean();
    let bench = Bench::new(&["/bin"]);
    assert_eq!(bench.try_run().err().expect("cannot start").0.kind(), Kind::PermissionDenied);
}

#[test]
fn a_start_that_fails_in_the_middle_is_undone() {
    let mut bench = Bench::sh("true");
    bench.bind("/no/such/source".as_ref(), "/data").create_source = false;
    let (failure, bench) = bench.try_run().err().expect("cannot start");
    assert_eq!((failure.kind(), failure.object.as_str()), (Kind::NotFound, "/no/such/source"));
    bench.assert_clean();
    let mut bench = Bench::sh("true");
    bench.process().user.as_mut().unwrap().user = "alice".into();
    let (failure, bench) = bench.try_run().err().expect("cannot start");
    assert_eq!(failure.message, "look up user \"alice\": not in /etc/passwd of the image");
    bench.assert_clean();
}

#[test]
fn a_daemon_that_goes_away_before_it_asks_leaves_nothing() {
    let mut shim = Shim::spawn("container", "nobody");
    drop(shim.line);
    assert!(shim.process.wait().unwrap().success());
}

#[test]
fn a_request_of_another_role_is_refused() {
    let mut shim = Shim::spawn("clean-pod", "x");
    let answer = shim.line.ask(Verb::GetState(GetState {})).0;
    assert!(matches!(answer, reply::Body::Failure(f) if f.kind() == Kind::InvalidArgument));
    shim.process.wait().unwrap();
}

#[test]
fn stop_signals_waits_and_a_polite_process_ends_by_itself() {
    let mut container = Bench::sh("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.02; done").run();
    let bench_log = container.bench.path("log");
    eventually("ready", || std::fs::read_to_string(&bench_log).unwrap_or_default().contains("ready"));
    container.done(Verb::Stop(Stop { signal: libc::SIGTERM, grace_ms: 10_000 }));
    let state = container.wait();
    assert_eq!((state.exit_code, container.bench.output("stdout").as_str()), (3, "ready\nbye\n"));
}

#[test]
fn a_deaf_process_is_killed_after_the_grace_and_a_second_stop_only_shortens() {
    let mut container = Bench::sh("trap 'echo signal' TERM; echo ready; while :; do sleep 0.02; done").run();
    let log = container.bench.path("log");
    eventually("ready", || std::fs::read_to_string(&log).unwrap_or_default().contains("ready"));
    let begin = Instant::now();
    container.done(Verb::Stop(Stop { signal: libc::SIGTERM, grace_ms: 60_000 }));
    let reply::Body::State(state) = container.ask(Verb::GetState(GetState {})) else { panic!("no state") };
    assert!(state.stopping.is_some(), "a stop is in progress");
    container.done(Verb::Stop(Stop { signal: libc::SIGTERM, grace_ms: 300 }));
    container.done(Verb::Stop(Stop { signal: libc::SIGTERM, grace_ms: 30_000 }));
    let state = container.wait();
    assert_eq!((state.exit_code, state.oom_killed, state.stopping), (137, false, None));
    assert!((Duration::from_millis(300)..Duration::from_secs(3)).contains(&begin.elapsed()));
    assert_eq!(container.bench.output("stdout"), "ready\nsignal\n", "one signal for three stops");
}

#[test]
fn stop_without_grace_kills_at_once() {
    let mut container = Bench::new(&["/bin/sleep", "100"]).run();
    let begin = Instant::now();
    assert_eq!(container.kill().exit_code, 137);
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_shim_lives_on_without_a_daemon_and_tells_the_next_one() {
    let mut container = Bench::sh("while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 5").run();
    let mut shim = container.shim.take().unwrap();
    drop(shim.line);
    let mut line = Line::connect(&container.bench.path("run"));
    let (answer, _) = line.ask(Verb::GetState(GetState {}));
    assert_eq!(answer, reply::Body::State(container.state.clone()));
    shim.line = line;
    container.shim = Some(shim);
    assert_eq!(container.exec(&["touch", "/tmp/go"]).0.exit_code, 0);
    assert_eq!(container.wait().exit_code, 5);
}

#[test]
fn a_container_that_ends_without_any_daemon_leaves_its_record_and_log() {
    let mut container = Bench::sh("sleep 0.2; echo done; exit 6").run();
    let mut shim = container.shim.take().unwrap();
    drop(shim.line);
    assert!(shim.process.wait().unwrap().success());
    let state = container.bench.state_on_disk();
    assert_eq!((state.phase(), state.exit_code), (Phase::Exited, 6));
    assert_eq!(container.bench.output("stdout"), "done\n");
    container.bench.assert_clean();
}

#[test]
fn a_container_whose_shim_was_killed_is_settled_by_clean_container_twice_the_same() {
    let mut container = Bench::new(&["/bin/sleep", "100"]).run();
    let mut shim = container.shim.take().unwrap();
    shim.process.kill().unwrap();
    shim.process.wait().unwrap();
    let pid = container.state.pid;
    let clean = || {
        let mut cleaner = Shim::spawn("clean-container", &container.bench.id);
        let request = CleanContainer {
            container_id: container.bench.id.clone(),
            run_dir: container.bench.path("run").display().to_string(),
            cgroup: container.bench.start.cgroup.clone(),
            ..Default::default()
        };
        let answer = cleaner.line.ask(Verb::CleanContainer(request)).0;
        assert!(cleaner.process.wait().unwrap().success());
        match answer {
            reply::Body::State(state) => state,
            other => panic!("unexpected {other:?}"),
        }
    };
    let state = clean();
    assert_eq!((state.phase(), state.exit_code, state.reason.as_str()), (Phase::Exited, 255, "Unknown"));
    assert_eq!(state.started_at_ns, container.state.started_at_ns);
    assert_eq!(clean(), state);
    eventually("the process is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    container.bench.assert_clean();
}

#[test]
fn the_shim_is_one_thread_with_no_descriptor_of_the_container_world_and_no_cpu_at_rest() {
    let mut container = Bench::new(&["/bin/sleep", "100"]).run();
    let shim = container.shim.as_ref().unwrap().process.id();
    let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    assert!(status.contains("Threads:\t1\n"), "{status}");
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
        let fields: Vec<u64> = stat.rsplit_once(')').unwrap().1.split(' ').filter_map(|f| f.parse().ok()).collect();
        fields[10] + fields[11]
    };
    std::thread::sleep(Duration::from_millis(300));
    let before = ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ticks(), before);
    assert!(processes_with(&container.bench.id).len() == 1, "one shim process per container");
    container.kill();
}

#[test]
fn attach_takes_part_in_output_and_input() {
    use std::io::{Read, Write};
    let mut bench = Bench::sh("while read line; do echo got $line; done; exit 4");
    bench.start.stdin = true;
    bench.start.stdin_once = true;
    let mut container = bench.run();
    let attach = gorae_proto::shim::Attach { stdin: true, stdout: true, stderr: false };
    let (answer, mut fds) = container.line().ask(Verb::Attach(attach));
    assert_eq!(answer, reply::Body::Attached(gorae_proto::shim::Attached { tty: false }));
    let mut output = std::fs::File::from(fds.pop().unwrap());
    let mut input = std::fs::File::from(fds.pop().unwrap());
    input.write_all(b"one\ntwo\n").unwrap();
    drop(input);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "got one\ngot two\n");
    assert_eq!(container.wait().exit_code, 4);
    assert_eq!(container.bench.output("stdout"), "got one\ngot two\n");
}

#[test]
fn the_log_is_reopened_at_its_path() {
    let mut container = Bench::sh("echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two").run();
    let (log, old) = (container.bench.path("log"), container.bench.path("log.old"));
    eventually("one", || std::fs::read_to_string(&log).unwrap_or_default().contains("one"));
    std::fs::rename(&log, &old).unwrap();
    container.done(Verb::ReopenLog(gorae_proto::shim::ReopenLog {}));
    assert!(log.exists(), "the new file exists when the reply arrives");
    container.exec(&["touch", "/tmp/go"]);
    container.wait();
    assert_eq!(container.bench.output("stdout"), "two\n");
    assert!(std::fs::read_to_string(&old).unwrap().ends_with("stdout F one\n"));
}

#[test]
fn a_hook_of_a_start_that_is_given_up_ends_with_its_shim() {
    let mut bench = Bench::sh("true");
    let mark = format!("hook-of-{}", bench.id);
    let args = ["sh", "-c", "while :; do sleep 0.05; done", &mark].map(str::to_owned).to_vec();
    let hook = Hook { name: "createRuntime".into(), path: "/bin/sh".into(), args, ..Hook::default() };
    let bundle = bench.path("run/bundle").display().to_string();
    let state = "{\"id\":\"c1\"".to_owned();
    bench.start.hooks = Some(Hooks { hooks: vec![hook], state, bundle, config: b"{}".to_vec() });
    let mut shim = Shim::spawn("container", &bench.id);
    shim.line.send(Verb::Start(bench.start.clone()), &[]);
    eventually("the hook runs", || !processes_with(&mark).is_empty());
    shim.process.kill().unwrap();
    shim.process.wait().unwrap();
    eventually("the hook ends", || processes_with(&mark).is_empty());
    let place = driver::checked(bench.start.cgroup.clone().unwrap());
    gorae_shim::cgroup::kill(&place).unwrap();
    gorae_shim::cgroup::remove(&place).unwrap();
}
