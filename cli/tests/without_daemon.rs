// SPDX-License-Identifier: Apache-2.0
//! gorae without a daemon: the program as a whole, through its arguments, outputs and exit codes.

use std::process::{Command, Output};

/// A socket that nothing listens on.
const NOWHERE: (&str, &str) = ("GORAE_HOST", "unix:///nowhere/a.sock");

/// Runs gorae with only these variables in its environment.
fn gorae(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gorae"));
    command.args(words).env_clear().envs(environment.iter().copied()).output().expect("runs")
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[test]
fn the_error_names_the_socket_and_the_next_step() {
    for (words, environment) in [
        (&["ps"][..], &[NOWHERE][..]),
        (&["--host", "unix:///nowhere/a.sock", "ps"], &[("GORAE_HOST", "unix:///elsewhere/b.sock")]),
        (&["ps", "-H", "/nowhere/a.sock"], &[]),
    ] {
        let output = gorae(words, environment);
        let error = error_of(&output);
        assert!(error.starts_with("gorae: start the daemon (systemctl start gorae, or goraed), "), "{error}");
        assert!(error.contains("no socket at /nowhere/a.sock") && error.contains("--host"), "{error}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
}

#[test]
fn run_ends_with_125_for_failures_of_its_own_and_exec_for_wrong_usage() {
    for words in [
        &["run", "busybox"][..],
        &["run", "--no-such-option", "busybox"],
        &["run"],
        &["run", "-p", "nonsense", "busybox"],
        &["run", "--restart", "always", "busybox"],
        &["run", "-m", "-1", "busybox"],
        &["exec", "a"],
        &["exec", "--no-such-option", "a", "ls"],
        &["exec", "-e", "A=1", "a", "ls"],
        &["-H", "unix:///nowhere/a.sock", "run", "--no-such-option", "busybox"],
    ] {
        let output = gorae(words, &[NOWHERE]);
        assert_eq!(output.status.code(), Some(125), "{words:?}: {}", error_of(&output));
        assert!(!output.stderr.is_empty(), "{words:?}");
    }
    assert_eq!(gorae(&["exec", "a", "ls"], &[NOWHERE]).status.code(), Some(1), "as docker exec without a daemon");
}

#[test]
fn a_value_that_begins_with_a_hyphen_is_refused_in_our_own_words() {
    for (words, own) in [
        (&["run", "-m", "-1", "busybox"][..], "bad size \"-1\""),
        (&["run", "--cpus", "-2", "busybox"], "bad number of processors \"-2\""),
        (&["logs", "--since", "-5m", "a"], "bad time \"-5m\""),
    ] {
        let error = error_of(&gorae(words, &[NOWHERE]));
        assert!(error.starts_with("gorae: ") && error.contains(own) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn wrong_usage_elsewhere_ends_with_2_and_help_with_0() {
    let wrong = [
        &["ps", "--bogus"][..],
        &["nonsense"],
        &[],
        &["logs"],
        &["stop", "-t", "-1", "a"],
        &["ps", "--format", "yaml"],
        &["logs", "--tail", "-3", "a"],
    ];
    for words in wrong {
        assert_eq!(gorae(words, &[]).status.code(), Some(2), "{words:?}");
    }
    for words in [&["--help"][..], &["-h"], &["run", "--help"], &["exec", "-h"], &["--version"], &["-v"], &["-V"]] {
        let output = gorae(words, &[]);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{words:?}");
    }
}

#[test]
fn a_verb_of_docker_that_is_missing_is_answered_with_what_to_do_instead() {
    for (verb, instead) in [("kill", "gorae stop -t 0"), ("build", "gorae pull"), ("restart", "gorae start")] {
        let output = gorae(&[verb, "a", "--bogus"], &[NOWHERE]);
        let error = error_of(&output);
        assert!(error.starts_with(&format!("gorae: there is no `gorae {verb}` yet: ")), "{error}");
        assert!(error.contains(instead) && error.lines().count() == 1, "{error}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    assert!(!error_of(&gorae(&["colect"], &[])).contains("collect"));
}

#[test]
fn an_option_of_docker_that_is_missing_is_answered_with_what_to_do_instead() {
    for (words, instead) in [
        (&["start", "-ai", "a"][..], "gorae attach NAME"),
        (&["exec", "-d", "a", "ls"], "sh -c"),
        (&["exec", "-w", "/", "a", "ls"], "cd DIRECTORY"),
        (&["run", "--restart=always", "busybox"], "systemd"),
    ] {
        let error = error_of(&gorae(words, &[NOWHERE]));
        assert!(error.contains("not supported") && error.contains(instead), "{words:?}: {error}");
    }
}

#[test]
fn no_secret_of_the_command_line_is_shown_back() {
    for words in [
        &["run", "-e", "=s3cret", "busybox"][..],
        &["run", "-e", "PASSWORD=s3cret", "--no-such-option", "busybox"],
        &["run", "-e", "PASSWORD=s3cret", "busybox"],
        &["exec", "-e", "PASSWORD=s3cret", "a", "ls"],
        &["exec", "-e", "PASSWORD=s3cret"],
        &["start", "--env=PASSWORD=s3cret", "a"],
    ] {
        let output = gorae(words, &[NOWHERE]);
        let (error, code) = (error_of(&output), output.status.code());
        assert!(!error.contains("s3cret") && code != Some(0), "{words:?}: {error}");
    }
}

#[test]
fn input_is_checked_before_the_daemon_is_asked() {
    let error = error_of(&gorae(&["run", "--name", "a\x1b[2Jb", "busybox"], &[NOWHERE]));
    assert!(error.contains("bad name") && !error.contains("the daemon") && !error.contains('\x1b'), "{error}");
    assert!(error_of(&gorae(&["ps", "--host", "tcp://127.0.0.1:1"], &[])).contains("unix:///PATH"));
}

#[test]
fn every_command_that_docker_users_look_for_is_in_the_help() {
    let help = String::from_utf8(gorae(&["--help"], &[]).stdout).expect("UTF-8");
    let commands =
        "pull images rmi run ps logs exec attach stop start rm inspect stats pods network port-forward info version";
    for command in commands.split(' ') {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is missing:\n{help}");
    }
    assert!(!help.contains("collect"), "{help}");
}

#[test]
fn gorae_prints_its_own_version_without_a_daemon() {
    let output = gorae(&["version", "--format", "json"], &[NOWHERE]);
    assert_eq!(output.status.code(), Some(1));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed["client"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(printed["daemon"].is_null());
}
