// SPDX-License-Identifier: Apache-2.0
//! Exec over SPDY, with real commands.

use super::spdy_client::Client;
use super::{eventually, exec, is_running, left_nothing, server, server_with, shell, soon, unique};
use crate::Config;
use crate::spdy::{ResetReason, frames};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const SUCCESS: &str = r#"{"status":"Success"}"#;

#[tokio::test]
async fn exit_codes_reach_the_client() {
    let (server, _) = server().await;
    for (script, code) in [("exit 42", 42), ("exit 1", 1), ("kill -9 $$", 137), ("exit 255", 255)] {
        let url = server.exec_url(&shell(script, "o")).unwrap();
        let status = Client::exec(&url, "o").await.status().await;
        assert!(status.contains(&format!("exit code {code}\",\"reason\":\"NonZeroExitCode\"")), "{status}");
        assert!(status.contains(&format!("{{\"reason\":\"ExitCode\",\"message\":\"{code}\"}}")), "{status}");
    }
    let url = server.exec_url(&exec(&["true"], "oe")).unwrap();
    assert_eq!(Client::exec(&url, "oe").await.status().await, SUCCESS);
}

#[tokio::test]
async fn the_end_comes_in_the_order_that_clients_need() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("echo out; echo err >&2", "ioe")).unwrap();
    let mut client = Client::exec(&url, "ioe").await;
    client.until(|client| client.seen("stdin").reset).await;
    assert_eq!((client.text("stdout"), client.text("stderr")), ("out\n".into(), "err\n".into()));
    let at = |word: &str, name: &str| {
        let line = format!("{word} {}", client.id(name));
        client.log.iter().position(|seen| *seen == line).unwrap_or_else(|| panic!("no {line}: {:?}", client.log))
    };
    assert!(at("fin", "stdout") < at("fin", "error") && at("fin", "stderr") < at("fin", "error"));
    assert!(at("fin", "error") < at("reset", "stdin"));
    // The server waits for the client to disconnect, answers its pings meanwhile, and sends GOAWAY last.
    client.raw(&frames::ping(9)).await;
    client.until(|client| client.log.iter().any(|line| line == "ping 9")).await;
    client.raw(&frames::goaway(0, 0)).await;
    client.rest().await;
    assert_eq!(client.log[client.log.len() - 2..], ["goaway", "eof"]);
}

#[tokio::test]
async fn a_command_that_does_not_start_is_told() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["missing"], "o")).unwrap();
    let status = Client::exec(&url, "o").await.status().await;
    assert!(status.contains("error executing command in container: exec: \\\"missing\\\""), "{status}");
    assert!(status.ends_with(r#""reason":"InternalError","code":500}"#), "{status}");
}

#[tokio::test]
async fn the_end_of_stdin_ends_cat_and_the_tail_is_not_lost() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    client.send(stdin, b"hello ", false).await;
    client.send(stdin, b"", false).await;
    client.send(stdin, b"world", true).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "hello world");
}

#[tokio::test]
async fn a_command_that_ends_ends_the_session_though_stdin_is_open() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("exit 3", "io")).unwrap();
    assert!(Client::exec(&url, "io").await.status().await.contains("exit code 3"));
}

#[tokio::test]
async fn stdin_goes_on_after_stdout_is_closed() {
    let (server, _) = server().await;
    let file = std::env::temp_dir().join(unique("gorae-stdin"));
    let url = server.exec_url(&shell(&format!("exec cat >{}", file.display()), "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    client.send(stdin, b"first", false).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..100 {
        client.send(stdin, &[b'x'; 10_000], false).await;
    }
    client.send(stdin, b"", true).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1_000_005);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_process_that_closes_stdin_does_not_end_the_session() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("exec <&-; sleep 0.5; echo done", "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    for _ in 0..40 {
        client.send(stdin, &[0; 60_000], false).await;
    }
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "done\n");
}

#[tokio::test]
async fn a_background_child_that_holds_stdout_does_not_hold_the_session() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("sleep 20 & echo hi", "o")).unwrap();
    let begun = Instant::now();
    let mut client = Client::exec(&url, "o").await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "hi\n");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// The largest resident set of this process since the last call, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_a_slow_reader_in_bounded_memory() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["head", "-c", "100000000", "/dev/zero"], "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    client.count_only = true;
    let before = resident();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = resident().saturating_sub(before);
    assert!(held < 12 << 20, "{held} bytes held for a client that does not read");
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.seen("stdout").length, 100_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_go_into_a_slow_process_and_all_arrive() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("sleep 1; wc -c", "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    let before = resident();
    let chunk = vec![7; 1_000_000];
    let sent = async {
        for _ in 0..100 {
            client.send(stdin, &chunk, false).await;
        }
        client.send(stdin, b"", true).await;
    };
    let watch = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let held = resident().saturating_sub(before);
        assert!(held < 12 << 20, "{held} bytes held for a process that does not read");
    };
    soon(async { tokio::join!(sent, watch) }).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout").trim(), "100000000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_run_at_once() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    let all: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (read, mut write) = {
        let socket = client.socket.into_std().unwrap();
        let copy = tokio::net::TcpStream::from_std(socket.try_clone().unwrap()).unwrap();
        (tokio::net::TcpStream::from_std(socket).unwrap(), copy)
    };
    client.socket = read;
    let sent = all.clone();
    let sender = tokio::spawn(async move {
        for part in sent.chunks(777_777) {
            write.write_all(&frames::data_head(stdin, false, part.len())).await.unwrap();
            write.write_all(part).await.unwrap();
        }
        write.write_all(&frames::data_head(stdin, true, 0)).await.unwrap();
    });
    assert_eq!(client.status().await, SUCCESS);
    sender.await.unwrap();
    assert!(client.seen("stdout").data == all, "{} of {} bytes", client.seen("stdout").length, all.len());
}

#[tokio::test]
async fn a_terminal_has_the_size_of_the_client_from_the_start_and_follows_it() {
    let (server, _) = server().await;
    let script = "sleep 0.3; stty size; read line; stty size; tty >/dev/null && echo yes";
    let url = server.exec_url(&shell(script, "iot")).unwrap();
    let mut client = Client::exec(&url, "iot").await;
    let (stdin, resize) = (client.id("stdin"), client.id("resize"));
    client.send(resize, b"{\"Width\":101,\"Hei", false).await;
    client.send(resize, b"ght\":33}\n", false).await;
    client.until(|client| client.text("stdout").contains("33 101")).await;
    client.send(resize, b"{\"Width\":77,\"Height\":22}\n{\"Width\":0,\"Height\":1}\n", false).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.send(stdin, b"go\r", false).await;
    assert_eq!(client.status().await, SUCCESS);
    let text = client.text("stdout");
    assert!(text.contains("22 77") && text.contains("go\r\n") && text.contains("yes"), "{text}");
}

#[tokio::test]
async fn a_command_begins_with_the_size_that_comes_right_after_the_streams() {
    let (server, backend) = server().await;
    for later in [0, 20] {
        let url = server.exec_url(&shell("stty size", "iot")).unwrap();
        let mut client = Client::exec(&url, "iot").await;
        let resize = client.id("resize");
        tokio::time::sleep(Duration::from_millis(later)).await;
        client.send(resize, b"{\"Width\":0,\"Height\":0}\n{\"Width\":101,\"Height\":33}\n", false).await;
        assert_eq!(client.status().await, SUCCESS);
        assert_eq!(client.text("stdout"), "33 101\r\n", "{later} ms later");
    }
    left_nothing(&server, &backend).await;
}

#[tokio::test]
async fn a_client_that_says_no_size_is_not_waited_for_long() {
    let (server, backend) = server().await;
    let url = server.exec_url(&shell("stty size", "iot")).unwrap();
    let mut client = Client::exec(&url, "iot").await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "0 0\r\n");
    drop(client);
    left_nothing(&server, &backend).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sizes_ends_with_the_last_one() {
    let (server, backend) = server().await;
    let script = "until [ \"$(stty size </dev/tty)\" = '40 123' ]; do sleep 0.05; done; echo seen";
    let url = server.exec_url(&shell(script, "iot")).unwrap();
    let mut client = Client::exec(&url, "iot").await;
    let resize = client.id("resize");
    let size = |width: u32, height: u32| format!("{{\"Width\":{width},\"Height\":{height}}}\n");
    let storm: String = (0..40_000).map(|n| size(10 + n % 500, 5 + n % 60)).collect();
    client.send(resize, storm.as_bytes(), false).await;
    client.send(resize, size(123, 40).as_bytes(), true).await;
    assert_eq!(client.status().await, SUCCESS);
    assert!(client.text("stdout").contains("seen"));
    drop(client);
    left_nothing(&server, &backend).await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_the_process_does_not_read_is_noticed() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["sleep", "60"], "i")).unwrap();
    let mut client = Client::exec(&url, "i").await;
    let stdin = client.id("stdin");
    // More than the server accepts for a process that does not read, so that the server stops reading.
    soon(client.send(stdin, &vec![0; 1_500_000], false)).await;
    drop(client);
    let begun = Instant::now();
    while server.connections() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the session goes on without its client");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_its_rest_is_cut_off() {
    let (server, _) = server_with(Config { idle_timeout: Duration::from_secs(60), ..Config::default() }).await;
    let url = server.exec_url(&exec(&["cat", "/dev/zero"], "o")).unwrap();
    let _client = Client::exec(&url, "o").await;
    // The clock stands still while something runs: the kernel's buffers fill up before the first minute is over.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        tokio::task::yield_now().await;
    }
    for minutes in 0..20 {
        if server.connections() == 0 {
            assert!(minutes > 10, "a slow reader has its quarter of an hour");
            return;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    panic!("the connection stays for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_single_bytes_with_a_tiny_window_gets_every_byte() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("seq 1 20000", "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.socket, 1).unwrap();
    client.window = 1;
    assert_eq!(client.status().await, SUCCESS);
    let expected: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert!(client.text("stdout") == expected);
}

#[tokio::test]
async fn a_reset_of_any_stream_at_any_moment_ends_in_nothing_left() {
    let (server, backend) = server().await;
    let names = ["error", "stdin", "stdout", "stderr"];
    for moment in 0..names.len() {
        for reset in 0..=moment {
            let url = server.exec_url(&exec(&["cat"], "ioe")).unwrap();
            let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
            for (at, name) in names.iter().enumerate() {
                client.open(name).await;
                if at == moment {
                    let id = client.id(names[reset]);
                    client.raw(&frames::reset(id, ResetReason::Cancel)).await;
                }
            }
            client.raw(&frames::ping(1)).await;
            client.until(|client| client.log.iter().any(|line| line == "ping 1")).await;
        }
    }
    left_nothing(&server, &backend).await;
}

#[tokio::test]
async fn interrupts_pass_through_a_terminal() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done", "iot"));
    let mut client = Client::exec(&url.unwrap(), "iot").await;
    client.until(|client| client.text("stdout").contains("ready")).await;
    let stdin = client.id("stdin");
    client.send(stdin, b"\x03", false).await;
    assert!(client.status().await.contains("exit code 5"));
    assert!(client.text("stdout").contains("caught"));
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_pipes_of_the_process() {
    let (server, _) = server().await;
    let marker = unique("gorae-leaver");
    let url = server.exec_url(&shell(&format!("while echo {marker}; do sleep 0.05; done"), "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    client.until(|client| client.seen("stdout").length > 0).await;
    assert!(is_running(&marker));
    drop(client);
    eventually("the writer got SIGPIPE", || !is_running(&marker)).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_stdin() {
    let (server, backend) = server().await;
    let url = server.exec_url(&exec(&["cat"], "i")).unwrap();
    let client = Client::exec(&url, "i").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(backend.exits.load(std::sync::atomic::Ordering::SeqCst), 0);
    drop(client);
    eventually("cat saw the end", || backend.exits.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_reset_of_stdout_closes_that_pipe_and_the_session_goes_on() {
    let (server, _) = server().await;
    let script = "trap '' PIPE; while echo x; do sleep 0.02; done; echo gone >&2; exit 9";
    let url = server.exec_url(&shell(script, "oe")).unwrap();
    let mut client = Client::exec(&url, "oe").await;
    client.until(|client| client.seen("stdout").length > 0).await;
    let stdout = client.id("stdout");
    let reset = client.session.reset(stdout, ResetReason::Cancel).unwrap();
    client.raw(&reset).await;
    assert!(client.status().await.contains("exit code 9"));
    assert!(client.text("stderr").contains("gone"));
}

#[tokio::test]
async fn a_reset_of_stdin_is_its_end() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["cat"], "io")).unwrap();
    let mut client = Client::exec(&url, "io").await;
    let stdin = client.id("stdin");
    client.send(stdin, b"abc", false).await;
    client.raw(&frames::reset(stdin, ResetReason::Cancel)).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "abc");
}

#[tokio::test]
async fn pings_are_answered_while_output_is_stuck_and_while_nothing_happens() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["sleep", "2"], "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    for id in [1, 3, 5] {
        client.raw(&frames::ping(id)).await;
        client.until(|client| client.log.contains(&format!("ping {id}"))).await;
    }
    assert_eq!(client.status().await, SUCCESS);
}

#[tokio::test]
async fn older_versions_have_their_own_endings() {
    let (server, _) = server().await;
    for (version, has_resize) in [("channel.k8s.io", false), ("v2.channel.k8s.io", false), ("v3.channel.k8s.io", true)]
    {
        let url = server.exec_url(&shell("exit 4", "iot")).unwrap();
        let mut client = Client::upgrade(&url, version).await;
        client.open_streams(if has_resize { "iot" } else { "io" }).await;
        let status = client.status().await;
        assert!(status.starts_with("command terminated with non-zero exit code:"), "{version}: {status}");
        if version == "channel.k8s.io" {
            assert!(client.seen("stdin").finished, "the first version ends stdin at once: {:?}", client.log);
        }
        let url = server.exec_url(&exec(&["true"], "o")).unwrap();
        let mut client = Client::upgrade(&url, version).await;
        client.open_streams("o").await;
        assert_eq!(client.status().await, "");
    }
}

#[tokio::test]
async fn extra_duplicate_and_unknown_streams_do_not_disturb() {
    let (server, _) = server().await;
    let url = server.exec_url(&shell("cat; echo end", "io")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    client.open("error").await;
    let unknown = client.open("nonsense").await;
    assert!(client.streams[&unknown].reset && !client.streams[&unknown].replied);
    let extra = client.open("stderr").await;
    let stdin = client.open("stdin").await;
    let second = client.open_with(&[("streamType", "stdin")]).await;
    client.until(|client| client.streams[&extra].finished && client.streams[&second].finished).await;
    client.send(second, b"lost", true).await;
    client.open("stdout").await;
    client.send(stdin, b"kept ", true).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "kept end\n");
}

#[tokio::test(start_paused = true)]
async fn streams_that_do_not_come_in_time_end_the_session_with_a_failure() {
    let (server, _) = server().await;
    let url = server.exec_url(&exec(&["true"], "io")).unwrap();
    let mut client = Client::upgrade(&url, "v4.channel.k8s.io").await;
    client.open("error").await;
    client.open("stdin").await;
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(client.status().await.contains("did not open all streams in time"));
}

#[tokio::test]
async fn an_idle_session_is_ended_with_a_failure_though_pings_come() {
    let (server, _) = server_with(Config { idle_timeout: Duration::from_millis(600), ..Config::default() }).await;
    let url = server.exec_url(&exec(&["sleep", "30"], "o")).unwrap();
    let mut client = Client::exec(&url, "o").await;
    let begun = Instant::now();
    for id in (1..9).step_by(2) {
        client.raw(&frames::ping(id)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(client.status().await.contains("idle timeout"));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_leave_nothing_behind() {
    let (server, _) = server().await;
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let run = async |rounds: usize| {
        for _ in 0..rounds {
            let sessions = (0..16).map(async |n| {
                let url = server.exec_url(&shell(&format!("echo {n}"), "io")).unwrap();
                let mut client = Client::exec(&url, "io").await;
                assert_eq!(client.status().await, SUCCESS);
                assert_eq!(client.text("stdout"), format!("{n}\n"));
            });
            soon(futures_util::future::join_all(sessions)).await;
        }
    };
    run(1).await;
    let before = count();
    run(10).await;
    // Other tests of this process run concurrently: a leak of ten rounds would be over a hundred.
    eventually("descriptors are closed", || count() < before + 60).await;
}
