// SPDX-License-Identifier: Apache-2.0
//! Commands whose container ends under them: they are killed, and that is what their clients are told.

use crate::client::{Client, Ran, TRANSPORTS, ended};
use gorae_proto::cri::NamespaceMode;
use gorae_tests::testing::soon;
use gorae_tests::{Container, Pod, on_a_node, place};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Child;

/// A container that ends when its file `/end` is there.
async fn container(pod: &Pod, name: &str) -> Container {
    pod.container(name).script("until [ -e /end ]; do sleep 0.05; done").start().await
}

/// Starts a command that runs for ever, and waits until it runs.
async fn running(client: &Client, container: &Container) -> Child {
    let mut child = client.spawn("exec", &["-i", container.id(), "sh", "-c", "echo up; exec sleep 100000"]);
    let mut up = [0; 3];
    child.stdout.as_mut().expect("piped").read_exact(&mut up).await.expect("it starts");
    child
}

#[test]
fn a_command_that_its_containers_end_kills_has_the_code_of_a_kill() {
    on_a_node(async |node| {
        let pods = [
            node.pod("own").run().await,
            node.pod("shared").shared_processes().run().await,
            node.pod("host").with(|c| gorae_tests::pod::namespaces(c).pid = NamespaceMode::Node.into()).run().await,
        ];
        for (transport, pod) in TRANSPORTS.iter().flat_map(|t| pods.iter().map(move |pod| (*t, pod))) {
            let client = Client::of(node, transport);
            for way in ["killed", "stopped", "over"] {
                let container = container(pod, &format!("{transport}-{way}")).await;
                let command = running(&client, &container).await;
                match way {
                    "killed" => container.stop(0).await,
                    "stopped" => container.stop(1).await,
                    _ => drop(container.sh("touch /end").await),
                }
                let ran = ended(command).await;
                assert!(ran.code != 0 && ran.err.contains("exit code 137"), "{transport} {way}: {ran:?}");
            }
        }
    });
}

#[test]
fn the_code_of_a_command_that_is_lost_with_its_shim_is_not_invented() {
    on_a_node(async |node| {
        let pod = node.pod("lost").run().await;
        for transport in TRANSPORTS {
            let container = container(&pod, transport).await;
            let command = running(&Client::of(node, transport), &container).await;
            let init = container.info().await["pid"].as_u64().expect("info has the process id");
            let shim = place::parent_of(u32::try_from(init).expect("a process id"));
            let shim = nix::unistd::Pid::from_raw(i32::try_from(shim).expect("a process id"));
            nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).expect("the shim is there");
            let ran = ended(command).await;
            assert!(ran.code != 0 && ran.err.contains("exit code is not known"), "{transport}: {ran:?}");
            container.ended().await;
        }
    });
}

#[test]
fn commands_that_are_asked_for_while_the_container_ends_are_killed_or_refused() {
    on_a_node(async |node| {
        let pod = node.pod("ending").run().await;
        for transport in TRANSPORTS {
            // The more processes there are to end, the longer it takes.
            let script = "for i in $(seq 100); do sleep 1000 & done; echo up; wait";
            let container = pod.container(transport).script(script).start().await;
            container.has_printed(|line| line == "up").await;
            let client = Client::of(node, transport);
            let asking = async {
                loop {
                    let round = (0..8).map(|_| client.spawn("exec", &[container.id(), "true"]));
                    for child in round.collect::<Vec<_>>() {
                        let ran = ended(child).await;
                        if ran.code != 0 {
                            assert!(is_told(&ran), "{transport}: {ran:?}");
                            return;
                        }
                    }
                }
            };
            let stopping = async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                container.stop(0).await;
            };
            tokio::join!(asking, stopping);
            soon("it is refused from now on", async || {
                let ran = client.exec(&container, &["true"]).await;
                (ran.code != 0 && is_told(&ran)).then_some(())
            })
            .await;
        }
    });
}

fn is_told(ran: &Ran) -> bool {
    ["exit code 137", "not running"].iter().any(|words| ran.err.contains(words))
}
