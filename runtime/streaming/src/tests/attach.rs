// SPDX-License-Identifier: Apache-2.0
//! Attach: which end ends what.

use super::spdy_client::Client;
use super::websocket_client;
use super::{server, soon};
use crate::Server;
use gorae_proto::cri::AttachRequest;

const SUCCESS: &str = r#"{"status":"Success"}"#;

fn url(server: &Server, flags: &str) -> String {
    let has = |flag| flags.contains(flag);
    let container_id = "here".into();
    let request = AttachRequest { container_id, stdin: has('i'), tty: has('t'), stdout: has('o'), stderr: has('e') };
    server.attach_url(&request).unwrap()
}

fn contain(backend: &super::Local, script: &str, stdin_once: bool) {
    *backend.container.lock().unwrap() = ["sh", "-c", script].map(String::from).to_vec();
    *backend.stdin_once.lock().unwrap() = stdin_once;
}

#[tokio::test]
async fn with_stdin_once_the_end_of_stdin_reaches_the_container_and_output_goes_on() {
    let (server, backend) = server().await;
    contain(&backend, "cat; sleep 0.2; echo after", true);
    let mut client = Client::exec(&url(&server, "io"), "io").await;
    let stdin = client.id("stdin");
    client.send(stdin, b"hello", true).await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "helloafter\n");
}

#[tokio::test]
async fn without_stdin_once_the_end_of_stdin_ends_the_session() {
    let (server, backend) = server().await;
    contain(&backend, "read line; echo got $line; sleep 30", false);
    let mut client = Client::exec(&url(&server, "io"), "io").await;
    let stdin = client.id("stdin");
    client.send(stdin, b"x\n", false).await;
    client.until(|client| client.text("stdout") == "got x\n").await;
    client.send(stdin, b"", true).await;
    assert_eq!(client.status().await, SUCCESS);
}

#[tokio::test]
async fn a_container_that_ends_is_success_whatever_its_code() {
    let (server, backend) = server().await;
    contain(&backend, "echo bye; exit 9", false);
    let mut client = Client::exec(&url(&server, "oe"), "oe").await;
    assert_eq!(client.status().await, SUCCESS);
    assert_eq!(client.text("stdout"), "bye\n");
}

#[tokio::test]
async fn outputs_that_end_before_the_container_are_told_as_a_failure() {
    let (server, backend) = server().await;
    contain(&backend, "echo before; exec >&- 2>&-; sleep 30", false);
    let mut client = Client::exec(&url(&server, "oe"), "oe").await;
    let status = client.status().await;
    assert!(status.contains("this client read too slowly") && status.contains("\"Failure\""), "{status}");
    assert_eq!(client.text("stdout"), "before\n");
}

#[tokio::test]
async fn a_container_that_does_not_run_is_told() {
    let (server, _) = server().await;
    let mut client = Client::exec(&url(&server, "o"), "o").await;
    assert!(client.status().await.contains("error attaching to container: container is not running"));
}

#[tokio::test]
async fn v5_half_close_works_for_attach() {
    let (server, backend) = server().await;
    contain(&backend, "cat", true);
    let mut client = websocket_client::Client::upgrade(&url(&server, "io"), "v5.channel.k8s.io").await;
    client.send(0, b"hello").await;
    client.send(255, &[0]).await;
    assert_eq!(soon(client.close_code()).await, 1000);
    assert_eq!((client.text(1), client.text(3)), ("hello".into(), SUCCESS.into()));
}
