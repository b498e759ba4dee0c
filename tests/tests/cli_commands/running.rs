// SPDX-License-Identifier: Apache-2.0
//! `gorae run`: what the container is given, what comes back, and with which code.

use crate::gorae::{Gorae, end_of, signal};
use gorae_tests::{BUSYBOX, TINY, on_a_node, testing::soon, web};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

#[test]
fn output_and_exit_code_are_the_containers() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let ran = gorae.run(&["run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2; printf end; exit 7"]).await;
        assert_eq!((ran.code, ran.out.as_str()), (7, "out\nend"));
        assert!(ran.err.ends_with("err\n") && ran.err.contains("pulling"), "{}", ran.err);
        let ran = gorae.run(&["run", "-q", "--rm", BUSYBOX, "sh", "-c", "exit 255"]).await;
        assert_eq!((ran.code, ran.err.as_str()), (255, ""));
        gorae.leaves_nothing().await;
    });
}

#[test]
fn every_byte_of_a_fast_and_large_output_arrives() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let ran = gorae.run(&["run", "--rm", TINY, "count", "200000", "3"]).await;
        assert_eq!(ran.code, 3);
        assert!((1..=200_000).map(|n| format!("line {n}")).eq(ran.out.lines().map(str::to_owned)));
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_reader_that_goes_away_ends_the_container() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["pull", BUSYBOX]).await;
        let mut child = gorae.spawn(&["run", "--name", "c", BUSYBOX, "yes"]);
        let mut first = [0; 2];
        child.stdout.as_mut().unwrap().read_exact(&mut first).await.unwrap();
        drop(child.stdout.take());
        let ran = end_of(child).await;
        assert_eq!((&first, ran.code, ran.err.as_str()), (b"y\n", 137, ""));
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn of_several_runs_with_one_name_one_wins() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["pull", TINY]).await;
        let runs: Vec<_> = (0..4).map(|_| gorae.spawn(&["run", "-d", "--name", "one", TINY, "sleep"])).collect();
        let mut codes = Vec::new();
        for run in runs {
            codes.push(end_of(run).await.code);
        }
        codes.sort_unstable();
        assert_eq!(codes, [0, 125, 125, 125]);
        assert_eq!(gorae.ok(&["ps", "-aq"]).await.lines().count(), 1);
        gorae.ok(&["rm", "-f", "one"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_start_that_fails_has_the_code_of_a_shell_and_can_be_looked_at() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for (command, code) in [("/no/such/thing", 127), ("no-such-thing", 127), ("/etc", 126), ("/etc/passwd", 126)] {
            let ran = gorae.run(&["run", "-q", "--rm", BUSYBOX, command]).await;
            assert_eq!(ran.code, code, "{command}: {}", ran.err);
            assert!(ran.err.contains(command), "the error names the command: {}", ran.err);
        }
        let ran = gorae.run(&["run", "-q", "--rm", "images.gorae.test/gorae/absent:1"]).await;
        assert_eq!(ran.code, 125);
        assert!(ran.err.contains("images.gorae.test/gorae/absent:1"), "{}", ran.err);
        gorae.run(&["run", "--name", "kept", BUSYBOX, "/no/such/thing"]).await;
        assert_eq!(gorae.json(&["ps", "-a"]).await[0]["reason"], "StartError");
        gorae.ok(&["rm", "kept"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn the_container_is_made_as_asked() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let directory = node.directory("env");
        std::fs::write(directory.join("file"), "# comment\nB=file\nA=file\n").unwrap();
        let file = directory.join("file").display().to_string();
        let script = "echo $A $B; pwd; id -u; id -g; hostname; touch /new 2>/dev/null || echo read-only; \
            sed -n 's/CapEff:.//p' /proc/self/status; cat /sys/fs/cgroup/memory/memory.limit_in_bytes \
            /sys/fs/cgroup/memory.max 2>/dev/null; true";
        let words =
            ["run", "-q", "--rm", "-e", "A=option", "--env-file", &file, "-w", "/tmp", "-u", "12:34", "-h", "h.x"];
        let limits = ["--read-only", "--cap-drop", "all", "-m", "64m", "--cpus", "0.5", BUSYBOX, "sh", "-c", script];
        let out = gorae.ok(&[&words[..], &limits[..]].concat()).await;
        let expected = ["option file", "/tmp", "12", "34", "h.x", "read-only", "0000000000000000", "67108864"];
        assert_eq!(out.lines().collect::<Vec<_>>(), expected);
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_published_port_and_a_mounted_directory_serve_a_page() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let site = node.directory("site");
        std::fs::write(site.join("index.html"), "first").unwrap();
        let (volume, read_only) = (format!("{}:/www:ro", site.display()), format!("{}:/data", site.display()));
        let words = ["run", "-d", "--name", "web", "-p", "127.0.0.1:18080:80", "-v", &volume, "-v", &read_only];
        let id = gorae.ok(&[&words[..], &[BUSYBOX, "httpd", "-f", "-h", "/www"]].concat()).await;
        assert_eq!(id.len(), 64);
        assert_eq!(web::get_soon("127.0.0.1:18080", "/").await, (200, "first".to_owned()));
        std::fs::write(site.join("index.html"), "second").unwrap();
        assert_eq!(web::get("127.0.0.1:18080", "/").await.unwrap().1, "second");
        let row = &gorae.json(&["ps"]).await[0];
        assert_eq!((&row["ports"], &row["state"]), (&"127.0.0.1:18080->80/tcp".into(), &"running".into()));
        let taken = gorae.run(&["run", "-d", "--name", "second", "-p", "127.0.0.1:18080:80", BUSYBOX, "true"]).await;
        assert_eq!(taken.code, 125);
        assert!(taken.err.contains("host port 127.0.0.1:18080/tcp is taken by container web"), "{}", taken.err);
        gorae.ok(&["rm", "-f", "web"]).await;
        assert!(web::get("127.0.0.1:18080", "/").await.is_err());
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_host_path_of_v_that_is_missing_is_made() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let host = node.directory("own").join("new/data");
        let volume = format!("{}:/data", host.display());
        gorae.ok(&["run", "-q", "--rm", "-v", &volume, BUSYBOX, "touch", "/data/made"]).await;
        assert!(host.join("made").exists());
        gorae.leaves_nothing().await;
    });
}

#[test]
fn an_interrupt_stops_the_container_and_a_second_one_kills_it() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let obedient = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done";
        let deaf = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        for (script, interrupts, code, slow) in [(obedient, 1, 3, false), (deaf, 2, 137, false)] {
            let child = gorae.spawn(&["run", "-q", "--rm", "--name", "c", BUSYBOX, "sh", "-c", script]);
            soon("it is up", async || gorae.run(&["logs", "c"]).await.out.contains("up").then_some(())).await;
            let begun = Instant::now();
            for _ in 0..interrupts {
                signal(&child, Signal::SIGINT);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let ran = end_of(child).await;
            assert_eq!(ran.code, code, "{} {}", ran.out, ran.err);
            assert!(slow || begun.elapsed() < Duration::from_secs(8));
        }
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_daemon_that_is_killed_meanwhile_changes_nothing_in_the_foreground() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done; exit 5";
        let child = gorae.spawn(&["run", "-q", "--name", "c", BUSYBOX, "sh", "-c", script]);
        soon("it is up", async || gorae.run(&["logs", "c"]).await.out.contains('1').then_some(())).await;
        node.kill_and_restart().await;
        let ran = end_of(child).await;
        assert_eq!((ran.code, ran.out.as_str()), (5, "1\n2\n3\n4\n5\n6\n7\n8\n"), "{}", ran.err);
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_detached_container_with_rm_is_gone_after_its_end() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--rm", "--name", "brief", BUSYBOX, "sleep", "1"]).await;
        assert_eq!(gorae.json(&["ps"]).await[0]["name"], "brief");
        soon("it is removed", async || gorae.ok(&["ps", "-aq"]).await.is_empty().then_some(())).await;
        soon("its pod is removed", async || gorae.ok(&["pods", "-aq"]).await.is_empty().then_some(())).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn the_host_network_is_the_machines() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let names = |table: &str| -> Vec<String> {
            table.lines().filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned())).collect()
        };
        let inside = gorae.ok(&["run", "-q", "--rm", "--network", "host", BUSYBOX, "cat", "/proc/net/dev"]).await;
        let outside = std::fs::read_to_string("/proc/self/net/dev").unwrap();
        assert_eq!(names(&inside), names(&outside));
        gorae.leaves_nothing().await;
    });
}

#[test]
fn privileges_are_what_was_given() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let effective = "sed -n 's/CapEff:.//p' /proc/self/status";
        let run = async |options: &[&str]| {
            let words = [&["run", "-q", "--rm"], options, &[BUSYBOX, "sh", "-c", effective]].concat();
            u64::from_str_radix(gorae.ok(&words).await.trim(), 16).unwrap()
        };
        let plain = run(&[]).await;
        let admin = run(&["--cap-add", "net_admin"]).await;
        let privileged = run(&["--privileged"]).await;
        assert_eq!(admin & !plain, 1 << 12, "CAP_NET_ADMIN is number 12");
        assert!(privileged.count_ones() > admin.count_ones());
        gorae.leaves_nothing().await;
    });
}
