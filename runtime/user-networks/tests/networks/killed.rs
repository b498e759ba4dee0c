// SPDX-License-Identifier: Apache-2.0
//! A daemon that is killed at any moment leaves nothing that its successor does not put right.

use super::stage::{as_node, default_routes, empty_pod, netns, network, open, ours, pod, sh, wish};
use gorae_user_networks::Besides;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The root of a test, for the process that will be killed.
const VICTIM: &str = "GORAE_TEST_VICTIM";

/// Starts this program again for one test, and kills it after a while.
fn kill_after(test: &str, root: &Path, delay: Duration) {
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(VICTIM, root)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    std::thread::sleep(delay);
    victim.kill().expect("killed");
    victim.wait().expect("reaped");
    // Its last shim may still be at work; a daemon takes longer to start again.
    std::thread::sleep(Duration::from_millis(150));
}

/// Runs what will be killed.
fn victim(root: &Path, work: impl AsyncFnOnce(&Path)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    runtime.expect("runtime").block_on(work(root));
}

fn interfaces(pod: &str) -> usize {
    sh(&format!("ip -n {pod} -o link")).matches(" eth").count()
}

fn bridges() -> usize {
    sh("ip -o link show type bridge").lines().count()
}

#[test]
fn while_a_pod_joins_and_leaves() {
    const TEST: &str = "killed::while_a_pod_joins_and_leaves";
    if let Some(root) = std::env::var_os(VICTIM) {
        return victim(Path::new(&root), async |root| {
            let networks = open(root, &["pod"]).await;
            loop {
                networks
                    .connect("pod", Some(&netns("pod")), &wish("a"), &[], Besides::Nothing)
                    .await
                    .expect("connected");
                networks.disconnect("pod", Some(&netns("pod")), "a").await.expect("disconnected");
            }
        });
    }
    as_node(TEST, async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "m", 71).await;
        network(&networks, "a", 72).await;
        pod(&networks, "pod", &[wish("m")]).await;
        drop(networks);
        let mut half_done = 0;
        for delay in (20..260).step_by(13) {
            kill_after(TEST, root, Duration::from_millis(delay));
            let record = std::fs::read_to_string(root.join("networks/members/pod")).expect("there");
            half_done += usize::from(record.contains("joining") || record.contains("leaving"));
            let after = open(root, &["pod"]).await;
            let count = after.memberships("pod").len();
            assert_eq!((after.degraded(), interfaces("pod"), bridges()), (None, count, count), "{delay} ms");
            let gateways = if count == 2 { "10.72.0.1 fd00:72::1" } else { "10.71.0.1 fd00:71::1" };
            assert_eq!(default_routes("pod"), gateways, "{delay} ms");
            if count == 2 {
                after.disconnect("pod", Some(&netns("pod")), "a").await.expect("disconnected");
            }
        }
        assert!(half_done > 0, "it was never killed on the way");
    });
}

#[test]
fn while_a_pod_comes_and_goes() {
    const TEST: &str = "killed::while_a_pod_comes_and_goes";
    if let Some(root) = std::env::var_os(VICTIM) {
        return victim(Path::new(&root), async |root| {
            let networks = open(root, &["pod"]).await;
            loop {
                networks.reserve("pod", &[wish("m"), wish("a")], &[], Besides::Nothing).await.expect("reserved");
                networks.attach("pod", &netns("pod")).await.expect("attached");
                networks.detach("pod").await.expect("detached");
                networks.release("pod").await.expect("released");
            }
        });
    }
    as_node(TEST, async |root| {
        let networks = open(root, &[]).await;
        network(&networks, "m", 73).await;
        network(&networks, "a", 74).await;
        empty_pod("pod");
        drop(networks);
        for delay in (20..260).step_by(13) {
            kill_after(TEST, root, Duration::from_millis(delay));
            // The pod lives: what is recorded can be made, or taken away.
            let after = open(root, &["pod"]).await;
            let count = after.memberships("pod").len();
            assert_eq!((after.degraded(), count % 2), (None, 0), "{delay} ms");
            after.attach("pod", &netns("pod")).await.expect("attached");
            assert_eq!((interfaces("pod"), bridges()), (count, count), "{delay} ms");
            drop(after);
            // The pod is gone.
            let last = open(root, &[]).await;
            assert_eq!((last.degraded(), ours().as_str(), interfaces("pod")), (None, "", 0), "{delay} ms");
        }
    });
}
