// SPDX-License-Identifier: Apache-2.0
//! `exec`, `attach`, `run -i`, `run -it`, `port-forward`: what goes through the daemon's streaming server.

use crate::gorae::{Gorae, end_of, signal};
use gorae_tests::{BUSYBOX, on_a_node, testing::soon, web};
use nix::sys::signal::Signal;

#[test]
fn exec_gives_both_streams_and_the_commands_code() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "c", BUSYBOX, "sleep", "1000"]).await;
        let ran = gorae.run(&["exec", "c", "sh", "-c", "echo out; echo err >&2; exit 9"]).await;
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (9, "out\n", "err\n"));
        let ran = gorae.run(&["exec", "c", "sh", "-c", "kill -9 $$"]).await;
        assert_eq!(ran.code, 137);
        for (command, code) in [("/no/such/thing", 127), ("no-such-thing", 127), ("/etc", 126)] {
            let ran = gorae.run(&["exec", "c", command]).await;
            assert_eq!(ran.code, code, "{command}: {}", ran.err);
            assert!(ran.err.contains(command), "{}", ran.err);
            assert!(!ran.err.contains("error occurred") && !ran.err.contains("error executing"), "{}", ran.err);
        }
        let ran = gorae.run(&["exec", "nobody", "true"]).await;
        assert_eq!(ran.code, 1, "as Docker's");
        let large = gorae.run(&["exec", "c", "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"]).await;
        assert_eq!((large.code, large.out.len()), (0, 20_000_000));
        gorae.ok(&["rm", "-f", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn input_goes_to_exec_and_run_up_to_its_end() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "c", BUSYBOX, "sleep", "1000"]).await;
        let input: Vec<u8> = (0..3_000_000_u32).flat_map(|n| [b'a' + (n % 26) as u8]).collect();
        let ran = gorae.fed(&["exec", "-i", "c", "cat"], &input).await;
        assert!(ran.code == 0 && ran.out.as_bytes() == input, "{} bytes, {}", ran.out.len(), ran.err);
        let ran = gorae.fed(&["exec", "c", "wc", "-c"], b"not handed over").await;
        assert_eq!(ran.out.trim(), "0");
        let ran = gorae.fed(&["run", "-q", "-i", "--rm", BUSYBOX, "sh", "-c", "cat; exit 4"], &input).await;
        assert!(ran.code == 4 && ran.out.as_bytes() == input, "{} bytes, {}", ran.out.len(), ran.err);
        let ran = gorae.fed(&["run", "-q", "--rm", BUSYBOX, "cat"], b"not handed over").await;
        assert_eq!((ran.code, ran.out.as_str()), (0, ""));
        gorae.ok(&["rm", "-f", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_shell_on_a_terminal_has_prompt_size_keys_and_code() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["pull", BUSYBOX]).await;
        let mut terminal = gorae.on_terminal(&["run", "-it", "--name", "c", BUSYBOX, "sh"], 101, 37);
        terminal.shows("/ # ").await;
        terminal.typed("stty size; tty; echo $TERM\n");
        terminal.shows("37 101").await;
        terminal.shows("/dev/pts/0").await;
        terminal.resized(90, 20);
        soon("the new size arrives", async || {
            terminal.typed("stty size\n");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            terminal.shown().contains("20 90").then_some(())
        })
        .await;
        // Ctrl-C goes to what runs in there, not to gorae.
        terminal.typed("sleep 1000\n");
        soon("it sleeps", async || {
            let ran = gorae.run(&["exec", "c", "ps"]).await;
            ran.out.lines().any(|l| l.ends_with("sleep 1000")).then_some(())
        })
        .await;
        terminal.typed("\x03");
        terminal.shows("^C").await;
        terminal.typed("echo still $((40 + 2))\n");
        terminal.shows("still 42").await;
        assert!(!terminal.is_cooked());
        terminal.typed("exit 6\n");
        assert_eq!(terminal.ended().await, 6);
        assert!(terminal.is_cooked(), "the terminal is given back as it was");
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_terminal_is_attached_again_after_the_daemon_was_killed() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["pull", BUSYBOX]).await;
        let mut terminal = gorae.on_terminal(&["run", "-it", "--rm", "--name", "c", BUSYBOX, "sh"], 80, 25);
        terminal.shows("/ # ").await;
        terminal.typed("x=kept; echo set $((1 + 1))\n");
        terminal.shows("set 2").await;
        node.kill_and_restart().await;
        terminal.shows("attaching again").await;
        soon("the shell answers", async || {
            terminal.typed("echo $x $((6 * 7))\n");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            terminal.shown().contains("kept 42").then_some(())
        })
        .await;
        terminal.typed("exit 5\n");
        assert_eq!(terminal.ended().await, 5);
        assert!(terminal.is_cooked());
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_command_on_a_terminal_that_ends_at_once_is_still_seen() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["pull", BUSYBOX]).await;
        for n in 0..5 {
            let text = format!("here and gone {n}");
            let mut terminal = gorae.on_terminal(&["run", "-it", "--rm", BUSYBOX, "echo", &text], 80, 25);
            assert_eq!(terminal.ended().await, 0);
            terminal.shows(&text).await;
            assert_eq!(terminal.shown().matches(&text).count(), 1, "{}", terminal.shown());
        }
        gorae.leaves_nothing().await;
    });
}

#[test]
fn exec_with_a_terminal_is_a_second_shell() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "c", BUSYBOX, "sleep", "1000"]).await;
        let mut terminal = gorae.on_terminal(&["exec", "-it", "c", "sh"], 70, 30);
        terminal.shows("/ # ").await;
        terminal.typed("stty size; exit 3\n");
        assert_eq!(terminal.ended().await, 3);
        terminal.shows("30 70").await;
        assert!(terminal.is_cooked());
        let mut terminal = gorae.on_terminal(&["exec", "-it", "c", "sh", "-c", "stty size; echo $TERM"], 70, 30);
        assert_eq!(terminal.ended().await, 0);
        terminal.shows("30 70\r\nxterm\r\n").await;
        assert_eq!(gorae.json(&["ps"]).await[0]["state"], "running");
        gorae.ok(&["rm", "-f", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn attach_shows_what_comes_and_ends_with_the_containers_code() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "while read line; do echo got $line; [ $line = end ] && exit 8; done";
        gorae.ok(&["run", "-d", "-i", "--name", "c", BUSYBOX, "sh", "-c", script]).await;
        // The input's end leaves the container as it is.
        let first = gorae.spawn(&["attach", "--no-stdin", "c"]);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let second = gorae.fed(&["attach", "c"], b"one\nend\n").await;
        assert_eq!(second.code, 8, "{}", second.err);
        let first = end_of(first).await;
        assert_eq!((first.code, first.out.as_str()), (8, "got one\ngot end\n"));
        assert_eq!(gorae.run(&["attach", "c"]).await.code, 1);
        gorae.ok(&["rm", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn port_forward_reaches_a_server_until_it_is_interrupted() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "mkdir /www; echo page >/www/index.html; exec httpd -f -h /www -p 127.0.0.1:8000";
        gorae.ok(&["run", "-d", "--name", "web", BUSYBOX, "sh", "-c", script]).await;
        let child = gorae.spawn(&["port-forward", "web", "18082:8000"]);
        for _ in 0..20 {
            assert_eq!(web::get_soon("127.0.0.1:18082", "/").await, (200, "page\n".to_owned()));
        }
        // A port without a server fails alone; the others go on.
        let dead = gorae.spawn(&["port-forward", "web", "18083:9"]);
        soon("it listens", async || std::net::TcpStream::connect("127.0.0.1:18083").ok()).await;
        assert!(web::get("127.0.0.1:18083", "/").await.is_err());
        assert_eq!(web::get("127.0.0.1:18082", "/").await.unwrap().0, 200);
        for child in [child, dead] {
            signal(&child, Signal::SIGINT);
            drop(end_of(child).await);
        }
        assert!(web::get("127.0.0.1:18082", "/").await.is_err());
        let taken = gorae.run(&["port-forward", "web", "0:80"]).await;
        assert_eq!(taken.code, 1);
        gorae.ok(&["rm", "-f", "web"]).await;
        gorae.leaves_nothing().await;
    });
}
