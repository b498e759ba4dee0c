// SPDX-License-Identifier: Apache-2.0
//! The log of a node in operation: each failed call has one line, which says all and no secret.

use gorae_proto::cri::{
    AuthConfig, ContainerStatusRequest, ExecSyncRequest, KeyValue, PodSandboxStatusRequest, PullImageRequest,
};
use gorae_tests::cri::spec;
use gorae_tests::testing::{self, soon};
use gorae_tests::{Node, TINY, on_a_node};
use std::path::Path;
use tonic::Code;

/// The lines about failed calls since some place of the log, when there are so many.
async fn lines(node: &Node, since: usize, count: usize) -> Vec<String> {
    soon("each failed call has its line", async || {
        let log = node.daemon().log()[since..].to_owned();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("call failed")).map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

fn says(line: &str, level: &str, parts: &[&str]) {
    assert!(line.contains(&format!(" {level} ")) && line.contains("took_ms="), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn each_failed_call_is_one_line_with_what_was_asked_and_what_became_of_it() {
    testing::on_a_node_with("[mounts]\nmissing_host_path = \"refuse\"\n", async |node| {
        let pod = node.pod("here").run().await;
        let container = pod.container("c").image(TINY).start().await;
        let since = node.daemon().log().len();
        let mut runtime = node.cri().runtime();

        let absent = "no such\npod";
        let asked = PodSandboxStatusRequest { pod_sandbox_id: absent.into(), verbose: false };
        assert_eq!(runtime.pod_sandbox_status(asked).await.unwrap_err().code(), Code::NotFound);
        let asked = ContainerStatusRequest { container_id: "f".repeat(64), verbose: true };
        assert_eq!(runtime.container_status(asked).await.unwrap_err().code(), Code::NotFound);
        let cmd = vec!["/no/such/program".into(), "--token=secret-1".into()];
        let asked = ExecSyncRequest { container_id: container.id().into(), cmd, timeout: 5 };
        let failed = runtime.exec_sync(asked).await.unwrap_err();
        let auth = AuthConfig { username: "user".into(), password: "secret-2".into(), ..AuthConfig::default() };
        let image = "127.0.0.1:1/absent:1";
        let asked = PullImageRequest { image: Some(spec(image)), auth: Some(auth), sandbox_config: None };
        node.cri().images().pull_image(asked).await.unwrap_err();
        let named = PullImageRequest { image: Some(spec("u:secret-4@127.0.0.1:1/x")), ..Default::default() };
        node.cri().images().pull_image(named).await.unwrap_err();
        let env = KeyValue { key: "TOKEN".into(), value: "secret-3".into() };
        let refused = pod.container("refused").image(TINY).with(|c| c.envs.push(env));
        let refused = refused.mount(Path::new("/no/such/volume"), "/v").try_create().await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);

        let lines = lines(node, since, 6).await;
        assert_eq!(lines.len(), 6, "{lines:#?}");
        says(&lines[0], "INFO", &["method=\"PodSandboxStatus\"", "pod=\"no such\\npod\"", "code=NotFound"]);
        says(
            &lines[1],
            "INFO",
            &["method=\"ContainerStatus\"", &format!("container={:?}", "f".repeat(64)), "code=NotFound"],
        );
        let code = format!("code={:?}", failed.code());
        says(
            &lines[2],
            "INFO",
            &["method=\"ExecSync\"", &format!("container={:?}", container.id()), &code, "/no/such/program"],
        );
        says(&lines[3], "WARN", &["method=\"PullImage\"", &format!("image={image:?}"), "error="]);
        says(&lines[4], "WARN", &["method=\"PullImage\"", "image=\"127.0.0.1:1/x\"", "code=InvalidArgument"]);
        let of = format!("pod={:?}", pod.id());
        says(
            &lines[5],
            "WARN",
            &["method=\"CreateContainer\"", &of, "container=\"refused\"", "code=NotFound", "/no/such/volume"],
        );
        assert!(!node.daemon().log().contains("secret-"), "a secret is in the log");
        container.exec(["/tiny", "echo", "fine"]).await;
        assert_eq!(self::lines(node, since, 6).await.len(), 6, "a call that went well has no line");
    });
}

#[test]
fn a_flood_of_failing_calls_is_counted_and_not_written_out() {
    on_a_node(async |node| {
        let since = node.daemon().log().len();
        for n in 0..2000 {
            let asked = PodSandboxStatusRequest { pod_sandbox_id: format!("absent-{n}"), verbose: false };
            node.cri().runtime().pod_sandbox_status(asked).await.unwrap_err();
        }
        let asked = ContainerStatusRequest { container_id: "another".into(), verbose: false };
        node.cri().runtime().container_status(asked).await.unwrap_err();
        let lines = lines(node, since, 101).await;
        assert!(lines.last().unwrap().contains("another"), "other methods keep their lines");
        assert!(lines.len() < 1000, "{} lines", lines.len());
    });
}
