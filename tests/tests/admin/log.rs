// SPDX-License-Identifier: Apache-2.0
//! The log: as JSON with the trace of a client, and its level while the daemon runs.

use gorae_proto::cri::{ContainerStatusRequest, ListPodSandboxRequest, PodSandboxStatusRequest, StopPodSandboxRequest};
use gorae_tests::testing::{on_a_node_with, soon};
use gorae_tests::{Node, admin, on_a_node};
use serde_json::Value;
use tonic::{Code, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{PARENT}-01").parse().expect("a header"));
    request
}

/// The lines of the log that are of the client's trace. Panics when any line is not JSON.
fn of_the_trace(node: &Node) -> Vec<Value> {
    let log = node.daemon().log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    lines.filter(|line| line["span"]["trace_id"] == TRACE).collect()
}

#[test]
fn the_trace_of_a_client_is_in_the_line_of_a_failed_call_and_in_those_of_its_verbs() {
    on_a_node_with("log_format = \"json\"\n", async |node| {
        let pod = node.pod("traced").run().await;
        let mut runtime = node.cri().runtime();
        let absent = PodSandboxStatusRequest { pod_sandbox_id: "absent".into(), verbose: false };
        runtime.pod_sandbox_status(traced(absent)).await.unwrap_err();
        let stop = StopPodSandboxRequest { pod_sandbox_id: pod.id().into() };
        runtime.stop_pod_sandbox(traced(stop)).await.unwrap();
        runtime.list_pod_sandbox(traced(ListPodSandboxRequest::default())).await.unwrap();
        let untraced = ContainerStatusRequest { container_id: "absent".into(), verbose: false };
        let mut odd = Request::new(untraced);
        odd.metadata_mut().insert("traceparent", format!("00-{TRACE}-{PARENT}-01-more").parse().unwrap());
        runtime.container_status(odd).await.unwrap_err();

        let lines = soon("the line of the failed call is there", async || {
            let lines = of_the_trace(node);
            (lines.len() >= 2).then_some(lines)
        })
        .await;
        let failed: Vec<_> = lines.iter().filter(|line| line["fields"]["message"] == "call failed").collect();
        let [failed] = failed.as_slice() else { panic!("{lines:#?}") };
        assert_eq!(failed["level"], "INFO", "{failed:#}");
        assert_eq!(failed["span"]["method"], "PodSandboxStatus", "{failed:#}");
        assert_eq!((&failed["span"]["pod"], &failed["span"]["parent_id"]), (&"absent".into(), &PARENT.into()));
        assert_eq!(failed["fields"]["code"], "NotFound", "{failed:#}");
        assert!(failed["fields"]["error"].as_str().unwrap().contains("absent") && failed["fields"]["took_ms"].is_u64());
        let stopped: Vec<_> = lines.iter().filter(|line| line["fields"]["message"] == "pod is stopped").collect();
        let [stopped] = stopped.as_slice() else { panic!("{lines:#?}") };
        assert_eq!(stopped["span"]["method"], "StopPodSandbox", "{stopped:#}");
        assert_eq!(stopped["span"]["pod"], pod.id(), "{stopped:#}");
        assert!(stopped["timestamp"].as_str().unwrap().ends_with('Z'), "{stopped:#}");
        let ready = node
            .daemon()
            .log()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["fields"]["message"] == "pod is ready" && line["span"]["method"] == "RunPodSandbox");
        let ready = ready.expect("the operation that repeats join has the span, too");
        assert_eq!(ready["span"]["namespace"], "tests", "{ready:#}");
    });
}

/// Whether a call that fails now has a line.
async fn tells(node: &Node, id: &str) -> bool {
    let asked = PodSandboxStatusRequest { pod_sandbox_id: id.into(), verbose: false };
    assert_eq!(node.cri().runtime().pod_sandbox_status(asked).await.expect_err("no such pod").code(), Code::NotFound);
    // The line is written before the answer goes out.
    node.daemon().log().contains(&format!("pod={id:?}"))
}

#[test]
fn the_level_is_told_and_set_at_run_time_and_sighup_gives_back_what_is_configured() {
    on_a_node(async |node| {
        let socket = node.daemon().admin_socket();
        let level = async || admin::get(&socket, "/log-level").await.unwrap().body;
        assert_eq!(level().await, "debug\n", "as the harness starts it");
        assert!(tells(node, "told").await);
        let set = admin::put_level(&socket, "error\n").await.unwrap();
        assert_eq!((set.status, set.body.as_str()), (200, "debug -> error\n"));
        assert_eq!(level().await, "error\n");
        assert!(!tells(node, "not-told").await);
        let refused = admin::put_level(&socket, "loud").await.unwrap();
        assert_eq!(refused.status, 400);
        assert_eq!(refused.body, "\"loud\" is not one of error, warn, info, debug, trace\n");
        assert_eq!(admin::put_level(&socket, &"x".repeat(5000)).await.unwrap().status, 413);
        assert_eq!(level().await, "error\n");
        assert_eq!(admin::put_level(&socket, "info").await.unwrap().body, "error -> info\n");
        assert!(tells(node, "told-again").await);

        let file = node.daemon().config_file();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("log_format = \"json\"\n{text}")).unwrap();
        let pid = nix::unistd::Pid::from_raw(node.daemon().pid().unwrap().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
        soon("the configured level is back", async || (level().await == "debug\n").then_some(())).await;
        soon("another format is said to need a restart", async || {
            let log = node.daemon().log();
            log.lines().any(|line| line.contains("\"log_format\"") && line.contains("needs a restart")).then_some(())
        })
        .await;
        std::fs::write(&file, text).unwrap();
    });
}
