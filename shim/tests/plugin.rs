// SPDX-License-Identifier: Apache-2.0
//! Tests the running of network plugins: shell scripts that end in every way.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod driver;
mod pods;

use driver::Shim;
use gorae_proto::shim::failure::Kind;
use gorae_proto::shim::plugin_ran::Ending;
use gorae_proto::shim::{Failure, MountBinary, PluginRan, RunPlugin, reply, request::Verb};
use std::path::Path;
use std::time::{Duration, Instant};

/// A shell that reads its script from its input.
fn script(text: &str, timeout_ms: u32) -> RunPlugin {
    RunPlugin {
        path: "/bin/sh".into(),
        environment: vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(), "CNI_COMMAND=ADD".into()],
        input: text.into(),
        timeout_ms,
        max_output: 1000,
        lock: String::new(),
    }
}

fn try_run(request: RunPlugin) -> Result<PluginRan, Failure> {
    let mut shim = Shim::spawn("run-plugin", "pod-under-test");
    ran(shim.line.ask(Verb::RunPlugin(request)).0)
}

fn ran(reply: reply::Body) -> Result<PluginRan, Failure> {
    match reply {
        reply::Body::PluginRan(ran) => Ok(ran),
        reply::Body::Failure(failure) => Err(failure),
        other => panic!("unexpected reply {other:?}"),
    }
}

fn run(text: &str, timeout_ms: u32) -> (Ending, String, String) {
    let ran = try_run(script(text, timeout_ms)).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.ending.unwrap(), text(ran.stdout), text(ran.stderr))
}

fn lives(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn the_output_the_words_and_the_end_are_told() {
    let (ending, out, err) = run("echo $CNI_COMMAND; echo word >&2; exit 3\n", 20_000);
    assert_eq!((ending, out.as_str(), err.as_str()), (Ending::Exited(3), "ADD\n", "word\n"));
    assert_eq!(run("kill -9 $$\n", 20_000).0, Ending::Killed(9));
    let (_, _, err) = run("yes | head -c 300000 >&2; echo end >&2\n", 20_000);
    assert!(err.len() == 16 << 10 && err.ends_with("end\n"), "{}", err.len());
}

#[test]
fn a_plugin_has_three_descriptors_and_no_variable_but_its_own() {
    let (ending, out, _) = run("ls /proc/self/fd; tr '\\0' '\\n' </proc/$$/environ | sort; umask\n", 20_000);
    assert_eq!(ending, Ending::Exited(0));
    // The fourth is the directory that ls reads.
    assert_eq!(out, "0\n1\n2\n3\nCNI_COMMAND=ADD\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n0022\n");
}

#[test]
fn a_program_that_cannot_be_started_is_told_from_one_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let half = dir.path().join("half");
    std::fs::write(&half, "").unwrap();
    std::fs::set_permissions(&half, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for (path, why) in [("/no/such/plugin", "No such file"), (half.to_str().unwrap(), "Exec format error")] {
        let ran = try_run(RunPlugin { path: path.into(), ..script("", 1000) }).unwrap();
        assert!(matches!(&ran.ending, Some(Ending::NotStarted(text)) if text.contains(why)), "{ran:?}");
    }
    let wrong = try_run(RunPlugin { path: "relative".into(), ..script("", 1000) }).unwrap_err();
    assert_eq!(wrong.kind(), Kind::InvalidArgument);
}

#[test]
fn one_that_hangs_or_floods_is_ended_with_all_that_it_started() {
    let begun = Instant::now();
    let (ending, out, _) = run("setsid sleep 71 & echo $!; wait\n", 300);
    assert_eq!(ending, Ending::Late(true));
    assert!(!lives(&out), "{out}");
    let (ending, out, _) = run("(setsid sh -c 'echo $$; exec >&-; sleep 71' &); sleep 0.2; cat /dev/zero\n", 20_000);
    assert_eq!(ending, Ending::Flooded(true));
    assert!(!lives(out.lines().next().unwrap()), "{out}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn what_a_good_one_leaves_behind_is_neither_waited_for_nor_killed() {
    let begun = Instant::now();
    let (ending, out, _) = run("setsid sleep 30 & echo $!\n", 20_000);
    assert_eq!(ending, Ending::Exited(0));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(lives(&out));
    let pid = out.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn runs_with_one_lock_are_one_after_the_other_and_the_wait_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().display().to_string();
    let with_lock = |text, timeout_ms| RunPlugin { lock: lock.clone(), ..script(text, timeout_ms) };
    let first = with_lock("sleep 1; date +%s%N\n", 20_000);
    let first = std::thread::spawn(move || try_run(first).unwrap().stdout);
    std::thread::sleep(Duration::from_millis(300));
    let late = try_run(with_lock("", 100)).unwrap_err();
    assert_eq!(late.kind(), Kind::DeadlineExceeded);
    let second = try_run(with_lock("date +%s%N\n", 20_000)).unwrap().stdout;
    assert!(second > first.join().unwrap());
}

/// Starts the script under the lock in this shim, and kills that once the script has made the file `BEGUN`, which stands for
/// one in the directory.
fn kill_in_the_middle(dir: &Path, shim: &mut Shim, text: &str) {
    let begun = dir.join("begun");
    let text = text.replace("BEGUN", &begun.display().to_string());
    shim.line.send(Verb::RunPlugin(RunPlugin { lock: dir.display().to_string(), ..script(&text, 20_000) }), &[]);
    let end = Instant::now() + Duration::from_secs(10);
    while !begun.exists() {
        assert!(Instant::now() < end, "the plugin does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    shim.process.kill().expect("kill");
    shim.process.wait().expect("wait");
}

#[test]
fn what_a_killed_shim_left_running_ends_before_the_next_run_begins() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log").display().to_string();
    let mut shim = Shim::spawn("run-plugin", "pod-under-test");
    let add = format!("sh -c 'touch BEGUN; sleep 1; echo address >>{log}'\necho added >>{log}\n");
    kill_in_the_middle(dir.path(), &mut shim, &add);
    let del = |timeout_ms| {
        let lock = dir.path().display().to_string();
        try_run(RunPlugin { lock, ..script(&format!("echo deleted >>{log}\n"), timeout_ms) })
    };
    assert_eq!(del(100).unwrap_err().kind(), Kind::DeadlineExceeded, "the wait is bounded");
    assert_eq!(del(20_000).unwrap().ending, Some(Ending::Exited(0)));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "address\ndeleted\n", "the plugin itself died with its shim");
}

#[test]
fn what_a_good_plugin_left_behind_keeps_no_lock_when_the_shim_is_killed_later() {
    let dir = tempfile::tempdir().unwrap();
    let with_lock = |text: &str| RunPlugin { lock: dir.path().display().to_string(), ..script(text, 20_000) };
    let mut shim = Shim::spawn("run-plugin", "pod-under-test");
    let left = ran(shim.line.ask(Verb::RunPlugin(with_lock("setsid sleep 72 & echo $!\n"))).0).unwrap().stdout;
    kill_in_the_middle(dir.path(), &mut shim, "touch BEGUN; exec sleep 71\n");
    let next = try_run(RunPlugin { timeout_ms: 5000, ..with_lock("") }).unwrap();
    assert_eq!(next.ending, Some(Ending::Exited(0)));
    let pid = String::from_utf8(left).unwrap();
    assert!(lives(&pid));
    let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_series_runs_in_one_process_and_keeps_its_lock_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let with_lock = |text: &str| RunPlugin { lock: dir.path().display().to_string(), ..script(text, 300) };
    let mut shim = Shim::spawn("run-plugin", "pod-under-test");
    let mut next = |text: &str| ran(shim.line.ask(Verb::RunPlugin(with_lock(text))).0).unwrap();
    let parents = ["echo $PPID; sleep 71", "echo $PPID; exit 3"].map(&mut next);
    assert_eq!(parents.each_ref().map(|ran| ran.ending.clone().unwrap()), [Ending::Late(true), Ending::Exited(3)]);
    assert_eq!(parents[0].stdout, parents[1].stdout);
    assert_eq!(try_run(with_lock("")).unwrap_err().kind(), Kind::DeadlineExceeded);
    let foreign = shim.line.ask(Verb::MountBinary(MountBinary {})).0;
    assert!(matches!(foreign, reply::Body::Failure(failure) if failure.kind() == Kind::InvalidArgument));
    assert!(shim.process.wait().expect("wait").success());
    try_run(with_lock("")).unwrap();
}
