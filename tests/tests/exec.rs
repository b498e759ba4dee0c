// SPDX-License-Identifier: Apache-2.0
//! ExecSync: output, codes, identity, deadlines, and nothing left of it.

use gorae_proto::cri::ExecSyncRequest;
use gorae_tests::leaks::Snapshot;
use gorae_tests::testing::{settled, soon};
use gorae_tests::{Container, Node, TINY, memory, on_a_node, on_a_node_for, place, rounds};
use std::path::{Path, PathBuf};
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

/// Processes with this command line, of any user.
fn running(line: &str) -> usize {
    let line = format!("{}\0", line.replace(' ', "\0"));
    let of = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    std::fs::read_dir("/proc")
        .expect("the directory is listed")
        .flatten()
        .filter_map(of)
        .filter(|own| own == line.as_bytes())
        .count()
}

#[test]
fn a_command_that_takes_too_long_ends_with_its_children() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let begun = Instant::now();
        let error = container.try_exec(["sh", "-c", "sleep 4321 & sleep 4321"], 1).await.unwrap_err();
        let took = begun.elapsed();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert!((Duration::from_millis(950)..Duration::from_millis(1200)).contains(&took), "{took:?}");
        // Not later: when the answer is there.
        assert_eq!(running("sleep 4321"), 0);
    });
}

/// The directories of a container's execs, in all hierarchies.
fn exec_groups(container: &Container) -> Vec<PathBuf> {
    fn walk(directory: &Path, id: &str, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.starts_with("exec-") && path.to_string_lossy().contains(id) {
                    found.push(path.clone());
                }
                walk(&path, id, found);
            }
        }
    }
    let mut found = Vec::new();
    gorae_tests::leaks::hierarchies().iter().for_each(|place| walk(place, container.id(), &mut found));
    found
}

#[test]
fn a_helper_that_a_command_leaves_behind_lives_on_and_does_not_hold_the_answer() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let begun = Instant::now();
        // With a limit of time that is over before the helper is.
        let out = container.try_exec(["sh", "-c", "sleep 301 & echo hi"], 5).await.unwrap();
        assert_eq!((out.stdout.as_str(), out.code), ("hi\n", 0));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(running("sleep 301"), 1, "it is what the command was for");
        node.kill_and_restart().await;
        assert_eq!(container.exec(["true"]).await.code, 0, "the shim has seen that its first daemon is gone");
        tokio::time::sleep_until((begun + Duration::from_secs(6)).into()).await;
        assert_eq!(running("sleep 301"), 1, "nothing waits for it, and nothing ends it");
        assert_eq!(exec_groups(&container).len(), 1);
        assert_eq!(container.sh("kill $(pidof sleep | tr ' ' '\\n' | sort -n | tail -1)").await.code, 0);
        soon("the helper's cgroup is gone", async || exec_groups(&container).is_empty().then_some(())).await;
    });
}

#[test]
fn what_a_helper_says_later_does_not_end_it() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let helper = "(while echo word && echo more >&2; do echo x >> /said; usleep 10000; done) & echo hi";
        assert_eq!(container.sh(helper).await.code, 0);
        let said = async || container.sh("wc -l < /said").await.stdout.trim().parse::<u32>().unwrap();
        let first = said().await;
        soon("it goes on", async || (said().await > first + 20).then_some(())).await;
    });
}

#[test]
fn helpers_that_never_stop_talking_hold_neither_the_answer_nor_the_daemon() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let begun = Instant::now();
        let out = container.sh("for i in 1 2 3; do yes & yes >&2 & done; exit 3").await;
        assert_eq!(out.code, 3);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let daemon = node.daemon().pid().expect("goraed runs");
        let (before, seconds) = (memory::processor_time(daemon), 2);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let each = (memory::processor_time(daemon) - before) / u32::try_from(seconds).expect("few");
        assert!(each < Duration::from_millis(100), "{each:?} of each second");
        assert_eq!(running("yes"), 6);
    });
}

#[test]
fn a_container_with_many_helpers_ends_at_once_and_nothing_of_them_is_left() {
    on_a_node(async |node| {
        let pod = node.pod("helpers").shared_processes().run().await;
        let options = gorae_tests::pod::namespaces(&mut pod.config().clone()).clone();
        let container = pod.container("c").script("sleep 10000").security(|s| s.namespace_options = Some(options));
        let container = container.start().await;
        for _ in 0..40 {
            assert_eq!(container.sh("sleep 302 &").await.code, 0);
        }
        assert_eq!(running("sleep 302"), 40);
        let begun = Instant::now();
        container.stop(0).await;
        container.remove().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!((running("sleep 302"), exec_groups(&container).len()), (0, 0));
    });
}

#[test]
fn large_output_arrives_whole_up_to_the_limit_of_both_streams_together() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let both = "head -c 15000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2";
        let out = container.sh(both).await;
        assert_eq!((out.stdout.len(), out.stderr.len(), out.code), (15_000_000, 1_000_000, 0));
        let much = container.sh("head -c 40000000 /dev/zero | tr '\\0' z; echo done >&2; exit 4").await;
        let (said, cut) = much.stderr.split_once('\n').expect("lines");
        assert_eq!((said, much.code), ("done", 4));
        assert!(much.stdout.len() <= LONGEST_ANSWER && much.stdout.len() >= 16_000_000, "{}", much.stdout.len());
        let left_out = 40_000_000 - much.stdout.len();
        assert!(cut.contains("truncated") && cut.contains(&left_out.to_string()), "{cut}");
    });
}

/// What kubelet's client takes.
const LONGEST_ANSWER: usize = 16 << 20;

#[test]
fn as_much_as_there_can_be_of_both_streams_fits_into_what_kubelet_takes() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let flood = "head -c 20000000 /dev/zero | tr '\\0' o; head -c 20000000 /dev/zero | tr '\\0' e >&2; exit 7";
        let request = ExecSyncRequest {
            container_id: container.id().to_owned(),
            cmd: ["sh", "-c", flood].map(str::to_owned).to_vec(),
            timeout: 60,
        };
        let mut kubelet = node.cri().runtime().max_decoding_message_size(LONGEST_ANSWER);
        let done = kubelet.exec_sync(request).await.unwrap().into_inner();
        assert_eq!(done.exit_code, 7, "what is left out does not disturb the command");
        assert!(done.stdout.len() + done.stderr.len() >= 16_000_000);
        let said = done.stderr.iter().position(|&byte| byte == b'\n').expect("a line says what was cut");
        for (output, letter) in [(&done.stdout[..], b'o'), (&done.stderr[..said], b'e')] {
            assert!(output.len() >= 1_000_000 && output.iter().all(|&byte| byte == letter), "{}", output.len());
        }
    });
}

#[test]
fn a_command_without_a_limit_has_the_time_it_needs() {
    on_a_node(async |node| {
        let container = shell(node).await;
        let done = container.try_exec(["sh", "-c", "sleep 2; echo done"], 0).await.unwrap();
        assert_eq!(done.stdout, "done\n");
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
fn a_command_in_a_container_that_is_just_ending_is_told_so() {
    on_a_node(async |node| {
        let pod = node.pod("ending").run().await;
        for round in 0..rounds(5) {
            // The more processes there are to end, the longer it takes.
            let script = "for i in $(seq 100); do sleep 1000 & done; echo up; wait";
            let container = pod.container(&format!("c{round}")).script(script).start().await;
            container.has_printed(|line| line == "up").await;
            let asking = container.clone();
            let errors = tokio::spawn(async move {
                loop {
                    if let Err(status) = asking.try_exec(["true"], 10).await {
                        return status;
                    }
                }
            });
            container.stop(0).await;
            let status =
                tokio::time::timeout(Duration::from_secs(10), errors).await.expect("it fails in time").unwrap();
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        }
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

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    pss_kb: u64,
}

fn held_by(pid: u32) -> Held {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there").count();
    Held { descriptors, pss_kb: memory::pss_kb(pid).expect("the process is there") }
}

fn zombies() -> usize {
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let is_zombie = |stat: &String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    std::fs::read_dir("/proc").expect("the directory is listed").flatten().filter_map(stat).filter(is_zombie).count()
}

/// Daemon and shim after a moment of rest, and everything else that can be left.
async fn at_rest(node: &Node, shim: u32) -> (Held, Held, Snapshot) {
    // Buffers are given back after a second without use.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let directories = [node.daemon().root(), node.daemon().state()];
    let files = settled(&directories.each_ref().map(std::path::PathBuf::as_path));
    (held_by(node.daemon().pid().expect("goraed runs")), held_by(shim), files)
}

/// Commands one after the other in each of [`LANES`] that go on at the same time.
async fn run_commands(container: &Container, count: usize) {
    let lane = async |own: usize| {
        for i in 0..count / LANES {
            let code = i32::try_from(i % 100).expect("small");
            let done = container.exec(["/tiny", "exit", &code.to_string()]).await;
            assert_eq!(done.code, code, "command {i} of lane {own}");
        }
    };
    futures_util::future::join_all((0..LANES).map(lane)).await;
}

/// Commands at the same time.
const LANES: usize = 4;
/// Commands of the usual run; `GORAE_EXECS` says another number.
const COMMANDS: usize = 4000;
/// Most that the daemon may grow, whatever the number of commands, in kB.
const DAEMON_GROWTH: u64 = 1024;
/// Most that the shim may grow, in kB: two pages of its heap.
const SHIM_GROWTH: u64 = 8;

#[test]
fn thousands_of_commands_leave_no_memory_descriptor_zombie_or_file() {
    let count = std::env::var("GORAE_EXECS").map_or(COMMANDS, |n| n.parse().expect("GORAE_EXECS is a number"));
    on_a_node_for(Duration::from_secs(120 + count as u64 / 100), async |node| {
        let container = node.pod("exec").run().await.container("c").image(TINY).args(["sleep"]).start().await;
        let init = container.info().await["pid"].as_u64().expect("info has the process id");
        let shim = place::parent_of(u32::try_from(init).expect("a process id"));
        run_commands(&container, 500).await;
        let before = at_rest(node, shim).await;
        let begun = Instant::now();
        run_commands(&container, count).await;
        let took = begun.elapsed();
        let after = at_rest(node, shim).await;
        println!(
            "{count} commands in {took:?}; daemon {:?} then {:?}; shim {:?} then {:?}",
            before.0, after.0, before.1, after.1
        );
        assert!(after.0.descriptors <= before.0.descriptors, "goraed has descriptors more");
        assert_eq!(after.1.descriptors, before.1.descriptors, "the shim's");
        assert!(after.0.pss_kb <= before.0.pss_kb + DAEMON_GROWTH, "goraed grew");
        assert!(after.1.pss_kb <= before.1.pss_kb + SHIM_GROWTH, "the shim grew");
        assert_eq!(zombies(), 0);
        assert_eq!(before.2.difference(&after.2), Vec::<String>::new());
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
