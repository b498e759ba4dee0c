// SPDX-License-Identifier: Apache-2.0
//! ExecSync: output, codes, identity, deadlines, and nothing left of it.

use gorae_tests::{Container, Node, TINY, on_a_node};
use std::time::{Duration, Instant};
use tonic::Code;

async fn shell(node: &Node) -> Container {
    node.pod("exec").run().await.container("sh").script("sleep 10000").start().await
}

#[test]
fn output_errors_and_the_exit_code_come_apart() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let out = container.sh("echo out; echo err >&2; exit 9").await;
        assert_eq!((out.stdout.as_str(), out.stderr.as_str(), out.code), ("out\n", "err\n", 9));
        assert_eq!(container.exec(["true"]).await.code, 0);
        assert_eq!(container.sh("kill -9 $$").await.code, 137);
    });
}

#[test]
fn a_command_runs_as_the_container_does() {
    on_a_node(async |node| {
        let pod = node.pod("identity").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .env("MINE", "yes")
            .with(|c| c.working_dir = "/var".into())
            .security(|s| {
                s.run_as_user = Some(gorae_proto::cri::Int64Value { value: 1234 });
                s.no_new_privs = true;
            })
            .start()
            .await;
        assert_eq!(container.sh("id -u; pwd; echo $MINE").await.stdout, "1234\n/var\nyes\n");
        let same = "for f in CapEff CapBnd NoNewPrivs Seccomp; do grep $f: /proc/$1/status; done; cat /proc/$1/cgroup";
        let first = container.exec(["sh", "-c", same, "sh", "1"]).await.stdout;
        let own = container.exec(["sh", "-c", same, "sh", "self"]).await.stdout;
        let without_groups = |text: &str| text.lines().take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(without_groups(&first), without_groups(&own));
    });
}

#[test]
fn a_command_that_is_not_there_is_an_error_that_names_it() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let error = container.try_exec(["no-such-program"], 5).await.unwrap_err();
        assert!(error.message().contains("no-such-program"), "{error:?}");
        assert_eq!(container.exec(["echo", "still here"]).await.stdout, "still here\n");
    });
}

#[test]
fn a_command_that_takes_too_long_ends_with_its_children() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let begun = Instant::now();
        let error = container.try_exec(["sh", "-c", "sleep 4321 & sleep 4321"], 1).await.unwrap_err();
        let took = begun.elapsed();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert!((Duration::from_millis(950)..Duration::from_millis(1700)).contains(&took), "{took:?}");
        assert_eq!(container.sh("ps | grep -c '[s]leep 4321'").await.stdout, "0\n");
    });
}

#[test]
fn a_child_left_in_the_background_does_not_hold_the_answer() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let begun = Instant::now();
        let out = container.sh("sleep 300 & echo hi").await;
        assert_eq!((out.stdout.as_str(), out.code), ("hi\n", 0));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}

#[test]
fn large_output_arrives_whole_up_to_the_limit() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let out =
            container.sh("head -c 3000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2").await;
        assert_eq!((out.stdout.len(), out.stderr.len(), out.code), (3_000_000, 1_000_000, 0));
        let much = container.sh("head -c 40000000 /dev/zero | tr '\\0' z; echo done >&2; exit 4").await;
        assert_eq!((much.stderr.as_str(), much.code), ("done\n", 4));
        assert!(much.stdout.len() <= 16 << 20 && much.stdout.len() >= 7 << 20, "{}", much.stdout.len());
    });
}

#[test]
fn only_a_running_container_runs_commands() {
    on_a_node(async |node| {
        let pod = node.pod("states").run().await;
        let container = pod.container("c").image(TINY).create().await;
        let created = container.try_exec(["/tiny", "true"], 5).await.unwrap_err();
        assert_eq!(created.code(), Code::FailedPrecondition, "{created:?}");
        container.start().await;
        container.stop(5).await;
        let exited = container.try_exec(["/tiny", "true"], 5).await.unwrap_err();
        assert_eq!(exited.code(), Code::FailedPrecondition, "{exited:?}");
    });
}

#[test]
fn an_empty_command_is_refused() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let error = container.try_exec([], 5).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    });
}

#[test]
fn many_commands_at_once_do_not_mix_their_output() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let runs = (0..32).map(|i| {
            let container = container.clone();
            tokio::spawn(async move { (i, container.sh(&format!("echo {i}; exit {i}")).await) })
        });
        for run in runs.collect::<Vec<_>>() {
            let (i, out) = run.await.unwrap();
            assert_eq!((out.stdout, out.code), (format!("{i}\n"), i));
        }
    });
}

/// Open descriptors and zombies of every shim.
fn shims() -> (usize, usize) {
    let mut seen = (0, 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if name.trim() == "gorae-shim" {
            seen.0 += std::fs::read_dir(entry.path().join("fd")).map_or(0, Iterator::count);
        }
        seen.1 += usize::from(stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')));
    }
    seen
}

#[test]
fn five_hundred_commands_leave_no_descriptor_and_no_zombie() {
    on_a_node(async |node| {
        let container = shell(node).await;
        container.exec(["true"]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = shims();
        for _ in 0..500 {
            assert_eq!(container.exec(["true"]).await.code, 0);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(shims(), before);
    });
}

#[test]
fn a_client_that_goes_away_ends_its_command() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let gone = container.clone();
        let call = tokio::spawn(async move { gone.try_exec(["sleep", "5432"], 60).await });
        let seen = async || container.sh("ps | grep -c '[s]leep 5432'").await.stdout;
        for _ in 0..100 {
            if seen().await == "1\n" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        call.abort();
        for _ in 0..100 {
            if seen().await == "0\n" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the command still runs five seconds after its client went away");
    });
}
