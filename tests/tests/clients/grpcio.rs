// SPDX-License-Identifier: Apache-2.0
//! gRPC's C core, through its real Python package: it sends the socket's path as `:authority`.

use gorae_tests::{Node, TINY, on_a_node, place};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// Lets the client do all its calls while a container runs; what it has found.
async fn client(node: &Node, authority: &str) -> Value {
    let python = place::build().join("python/bin/python3");
    assert!(python.exists(), "{} is not there: run `make setup-images`", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/grpcio.py");
    let mut child = Command::new(python)
        .args([script.as_os_str(), node.daemon().socket().as_os_str(), authority.as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let (mut input, mut output) =
        (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
    let mut line = String::new();
    output.read_line(&mut line).await.expect("it is read");
    assert_eq!(line, "watching\n", "the client has said on its error output why");
    let pod = node.pod(&format!("seen-{}", authority.len())).run().await;
    let container = pod.container("c").image(TINY).start().await;
    input.write_all(b"\n").await.expect("it reads");
    let mut found = String::new();
    output.read_to_string(&mut found).await.expect("it is read");
    assert!(child.wait().await.expect("it ends").success());
    let found: Value = serde_json::from_str(&found).expect("JSON");
    for seen in ["streamed", "listed"] {
        assert!(found[seen].as_str().expect("a text").contains(&hex::encode(container.id())), "{seen}: {found}");
    }
    assert!(found["events"][3].as_str().expect("a text").contains(&hex::encode(container.id())), "{found}");
    pod.stop().await;
    pod.remove().await;
    found
}

#[test]
fn a_python_client_is_served_whatever_it_calls_the_server() {
    on_a_node(async |node| {
        let socket = node.daemon().socket();
        let path = socket.to_str().unwrap();
        for authority in ["", "localhost", path, &path.replace('/', "%2F"), "/", "a b", "ünix"] {
            let found = client(node, authority).await;
            assert!(found["version"].as_str().unwrap().contains("gorae"), "{found}");
            assert_eq!(found["absent"], "NOT_FOUND", "{found}");
            assert_eq!(found["long headers"], "OK", "{found}");
            assert_eq!(found["long message"], "OK", "{found}");
            assert_eq!(found["at once"], 1, "{found}");
        }
    });
}
