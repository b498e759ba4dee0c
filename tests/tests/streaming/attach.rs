// SPDX-License-Identifier: Apache-2.0
//! Attach without a terminal.

use crate::client::{Client, TRANSPORTS, ended};
use gorae_tests::{Container, Pod, on_a_node};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

async fn echoing(pod: &Pod, name: &str, once: bool) -> Container {
    let script = "while read line; do echo got $line; done; echo end of input";
    let container = pod.container(name).script(script);
    container.with(|c| (c.stdin, c.stdin_once) = (true, once)).start().await
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().expect("piped")).lines()
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await;
    line.expect("a line comes in time").expect("a pipe can be read").expect("the output goes on")
}

#[test]
fn two_viewers_see_what_either_of_them_types() {
    on_a_node(async |node| {
        let pod = node.pod("attach").run().await;
        for transport in TRANSPORTS {
            let container = echoing(&pod, transport, false).await;
            let client = Client::of(node, transport);
            let mut viewers = [0; 2].map(|_| client.spawn("attach", &["-i", container.id()]));
            let mut shown = viewers.each_mut().map(lines);
            // What is typed before both are attached is seen by one: so each says hello until both have heard it.
            for (n, viewer) in viewers.iter_mut().enumerate() {
                let stdin = viewer.stdin.as_mut().expect("piped");
                while tokio::time::timeout(Duration::from_millis(300), shown[1 - n].next_line()).await.is_err() {
                    stdin.write_all(format!("hello from {n}\n").as_bytes()).await.unwrap();
                }
            }
            viewers[0].stdin.as_mut().expect("piped").write_all(b"last\n").await.unwrap();
            for lines in &mut shown {
                while line(lines).await != "got last" {}
            }
            for viewer in viewers {
                drop(ended(viewer).await);
            }
            let status = container.status().await;
            assert_eq!(status.state(), gorae_proto::cri::ContainerState::ContainerRunning, "they only detached");
        }
    });
}

#[test]
fn with_stdin_once_the_end_of_input_reaches_the_container() {
    on_a_node(async |node| {
        let pod = node.pod("once").run().await;
        for transport in TRANSPORTS {
            let container = echoing(&pod, transport, true).await;
            let mut child = Client::of(node, transport).spawn("attach", &["-i", container.id()]);
            let mut stdin = child.stdin.take().expect("piped");
            stdin.write_all(b"hello\n").await.unwrap();
            drop(stdin);
            let ran = ended(child).await;
            let out = String::from_utf8(ran.out).expect("text");
            assert!(out.ends_with("end of input\n"), "{transport}: {out}{}", ran.err);
            assert_eq!(container.stdout(), ["got hello", "end of input"]);
        }
    });
}

#[test]
fn a_viewer_that_does_not_read_is_told_and_holds_nobody() {
    on_a_node(async |node| {
        let pod = node.pod("slow").run().await;
        for transport in TRANSPORTS {
            let script = "read line; seq 1 3000000; echo written >/tmp/done; sleep 10000";
            let container = pod.container(transport).script(script).with(|c| c.stdin = true).start().await;
            let mut child = Client::of(node, transport).spawn("attach", &["-i", container.id()]);
            // It goes on when a client is attached, since nothing else writes this line.
            child.stdin.as_mut().expect("piped").write_all(b"go\n").await.unwrap();
            gorae_tests::testing::soon("the container has written all", async || {
                (container.exec(["test", "-e", "/tmp/done"]).await.code == 0).then_some(())
            })
            .await;
            let stdin = child.stdin.take();
            let ran = ended(child).await;
            drop(stdin);
            assert!(ran.code != 0 && ran.err.contains("read too slowly"), "{transport}: {}", ran.err);
            assert!(ran.out.starts_with(b"1\n2\n3\n"), "{transport}");
        }
    });
}
