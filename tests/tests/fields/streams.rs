// SPDX-License-Identifier: Apache-2.0
//! Input of containers, with crictl at the other end.

use gorae_tests::{Container, Node, on_a_node, place};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Attaches to a container's input, sends a line and closes it.
fn attach(node: &Node, container: &Container, line: &str) -> Child {
    let mut command = Command::new(place::tool("crictl"));
    command.args(["--runtime-endpoint", &node.cri().endpoint(), "attach", "-i", container.id()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("crictl runs");
    child.stdin.take().expect("piped").write_all(line.as_bytes()).expect("crictl reads");
    child
}

/// Ends a client that may have ended by itself.
fn end(mut child: Child) {
    let _ = child.kill();
    child.wait().expect("it is our child");
}

#[test]
fn input_ends_for_good_only_when_it_may_come_once() {
    on_a_node(async |node| {
        let pod = node.pod("input").run().await;
        let start = async |name: &str, once: bool| {
            let builder = pod.container(name).script("while read -r line; do echo got $line; done; echo over");
            builder.with(|c| (c.stdin, c.stdin_once) = (true, once)).start().await
        };
        let once = start("once", true).await;
        let client = attach(node, &once, "first\n");
        let status = once.ended().await;
        assert_eq!((status.exit_code, once.stdout()), (0, vec!["got first".to_owned(), "over".to_owned()]));
        end(client);
        let again = start("again", false).await;
        let clients = [("first\n", "got first"), ("second\n", "got second")];
        for (line, answer) in clients {
            let client = attach(node, &again, line);
            again.has_printed(|l| l == answer).await;
            end(client);
        }
        assert!(!again.stdout().contains(&"over".to_owned()), "its input is still open");
        let none = pod.container("none").script("cat; echo over").start().await;
        let begun = Instant::now();
        none.ended().await;
        assert!(begun.elapsed() < Duration::from_secs(10) && none.stdout() == ["over"], "its input is empty");
    });
}
