// SPDX-License-Identifier: Apache-2.0
//! Exec and attach on a terminal, as a person types.

use crate::client::{Client, TRANSPORTS};
use gorae_tests::testing::soon;
use gorae_tests::{Terminal, on_a_node};

#[test]
fn a_shell_has_echo_size_interrupt_and_exit_code() {
    on_a_node(async |node| {
        let container = node.pod("terminal").run().await.container("sh").script("sleep 10000").start().await;
        for transport in TRANSPORTS {
            let command = Client::of(node, transport).command("exec", &["-i", "-t", container.id(), "sh"]);
            let mut terminal = Terminal::open(&command, 101, 37);
            terminal.shows("/ # ").await;
            terminal.typed("stty size; tty\n");
            terminal.shows("stty size; tty").await;
            terminal.shows("37 101").await;
            terminal.resized(90, 20);
            soon("the new size arrives", async || {
                terminal.typed("stty size\n");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                terminal.shown().contains("20 90").then_some(())
            })
            .await;
            terminal.typed("sleep 1000\n");
            let sleeping = async || container.sh("ps").await.stdout.lines().any(|line| line.ends_with("sleep 1000"));
            soon("it sleeps", async || sleeping().await.then_some(())).await;
            terminal.typed("\x03");
            terminal.typed("echo still $((40 + 2))\n");
            terminal.shows("still 42").await;
            assert!(!sleeping().await, "Ctrl-C went to the command");
            terminal.typed("exit 7\n");
            assert_ne!(terminal.ended().await, 0, "{transport}");
            terminal.shows("exit code 7").await;
            assert!(terminal.is_cooked(), "{transport}: the terminal is given back as it was");
        }
    });
}

#[test]
fn a_command_on_a_terminal_knows_its_size_and_kind_from_its_first_instant() {
    on_a_node(async |node| {
        let container = node.pod("size").run().await.container("sh").script("sleep 10000").start().await;
        for transport in TRANSPORTS {
            let show = ["-i", "-t", container.id(), "sh", "-c", "stty size; echo $TERM"];
            let mut terminal = Terminal::open(&Client::of(node, transport).command("exec", &show), 101, 37);
            assert_eq!(terminal.ended().await, 0, "{transport}");
            terminal.shows("37 101\r\nxterm\r\n").await;
        }
    });
}

#[test]
fn a_client_that_goes_away_hangs_the_shell_up() {
    on_a_node(async |node| {
        let container = node.pod("detach").run().await.container("sh").script("sleep 10000").start().await;
        for transport in TRANSPORTS {
            let command = Client::of(node, transport).command("exec", &["-i", "-t", container.id(), "sh"]);
            let mut terminal = Terminal::open(&command, 80, 25);
            terminal.shows("/ # ").await;
            terminal.typed("while :; do sleep 0.1; done\n");
            drop(terminal);
            soon("SIGHUP ended the shell", async || {
                (!container.sh("ps").await.stdout.lines().any(|line| line.ends_with(" sh"))).then_some(())
            })
            .await;
        }
    });
}

#[test]
fn a_containers_own_terminal_is_left_by_the_detach_keys_and_attached_again() {
    on_a_node(async |node| {
        let pod = node.pod("attach").run().await;
        let interactive = |c: &mut gorae_proto::cri::ContainerConfig| (c.tty, c.stdin) = (true, true);
        let container = pod.container("sh").command(["sh"]).with(interactive).start().await;
        for (n, transport) in TRANSPORTS.into_iter().enumerate() {
            let command = Client::of(node, transport).command("attach", &["-i", "-t", container.id()]);
            let mut terminal = Terminal::open(&command, 80, 25);
            soon("the shell answers", async || {
                terminal.typed(&format!("echo turn $(({n} + 1)) $((6 * 7))\n"));
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                terminal.shown().contains(&format!("turn {} 42", n + 1)).then_some(())
            })
            .await;
            terminal.typed("\x10\x11");
            terminal.ended().await;
        }
    });
}
