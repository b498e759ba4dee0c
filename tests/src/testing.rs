// SPDX-License-Identifier: Apache-2.0
//! The frame of a test: a node, the test's body, and then nothing may be left of it.

use crate::leaks::Snapshot;
use crate::node::Node;
use crate::place;
use crate::registry::Registry;
use futures_util::FutureExt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest run of an ordinary test.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the kernel may take to finish what was asked of it (namespaces and cgroups go asynchronously).
const SETTLING: Duration = Duration::from_secs(10);
/// How much of the daemon's log a failing test prints, in bytes.
const LOG_TAIL: usize = 12_000;

/// One test at a time: the leak check looks at everything there is.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a test's body on a fresh node and checks that nothing is left behind.
///
/// Panics with what is left, with the daemon's last words when the body fails, and outside `tests/run`.
pub fn on_a_node(body: impl AsyncFnOnce(&Node)) {
    on_a_node_for(LIMIT, body);
}

/// The same for a body that may take longer.
pub fn on_a_node_for(limit: Duration, body: impl AsyncFnOnce(&Node)) {
    frame(Node::start(), limit, body);
}

/// The same with TOML of the daemon's configuration.
pub fn on_a_node_with(config: &str, body: impl AsyncFnOnce(&Node)) {
    frame(async { Node::start_with(Registry::with_test_images()?, config).await }, LIMIT, body);
}

/// The same beside a registry that is empty, for bodies that push.
pub fn on_a_node_with_an_empty_registry(body: impl AsyncFnOnce(&Node)) {
    frame(async { Node::start_with(Registry::empty()?, "").await }, LIMIT, body);
}

/// The same with the daemon's directories on a disk of so many bytes.
pub fn on_a_small_disk(bytes: u64, body: impl AsyncFnOnce(&Node)) {
    frame(async { Node::start_on_disk_of(bytes, Registry::empty()?).await }, LIMIT, body);
}

/// How many of so many equal rounds a test goes: all, or on a slow machine `GORAE_TEST_ROUNDS` percent of them.
///
/// Panics when that is not a number.
#[must_use]
pub fn rounds(all: usize) -> usize {
    let percent = std::env::var("GORAE_TEST_ROUNDS").map_or(100, |p| p.parse().expect("GORAE_TEST_ROUNDS is a number"));
    (all * percent / 100).max(1)
}

fn frame(start: impl Future<Output = anyhow::Result<Node>>, limit: Duration, body: impl AsyncFnOnce(&Node)) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    place::assert_own_namespaces();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outside = Snapshot::take(&[]);
    runtime.expect("a runtime can be built").block_on(async {
        let node = start.await.unwrap_or_else(|e| panic!("the node does not start: {e:#}"));
        let done = AssertUnwindSafe(whole(&node, &outside, limit, body)).catch_unwind().await;
        if let Err(panic) = done {
            if node.is_own() {
                print_tail(&node.daemon().log());
                node.daemon().kill();
                clear_away(&outside);
            }
            resume_unwind(panic);
        }
    });
}

/// The body and the checks around it.
async fn whole(node: &Node, outside: &Snapshot, limit: Duration, body: impl AsyncFnOnce(&Node)) {
    if !node.is_own() {
        tokio::time::timeout(limit, body(node)).await.expect("the test ends in time");
        return;
    }
    node.warm_up().await.unwrap_or_else(|e| panic!("{e:#}"));
    let directories = [node.daemon().root(), node.daemon().state()];
    let directories = directories.each_ref().map(std::path::PathBuf::as_path);
    let before = settled(&directories);
    tokio::time::timeout(limit, body(node)).await.unwrap_or_else(|_| panic!("the test runs for more than {limit:?}"));
    node.sweep().await.unwrap_or_else(|e| panic!("after the test: {e:#}"));
    assert_equal(&before, &directories, "after the test");
    node.terminate().unwrap_or_else(|e| panic!("{e:#}"));
    assert_nothing_stays(outside, node);
}

/// A snapshot that has not changed for a moment, when the warm-up pod's interface is gone (the kernel takes a
/// namespace down in its own time).
#[must_use]
pub fn settled(directories: &[&Path]) -> Snapshot {
    let begun = Instant::now();
    let mut last = Snapshot::take(directories);
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let next = Snapshot::take(directories);
        let quiet = next == last && !next.has_pod_interfaces();
        if quiet || begun.elapsed() > SETTLING {
            return next;
        }
        last = next;
    }
}

/// Waits until everything is as before. The daemon's own process may be another one than before.
fn assert_equal(before: &Snapshot, directories: &[&Path], when: &str) {
    let begun = Instant::now();
    loop {
        let mut found = before.difference(&Snapshot::take(directories));
        found.retain(|line| !line.contains(" goraed: ") && !is_shared_parent(line));
        if found.is_empty() {
            return;
        }
        assert!(begun.elapsed() < SETTLING, "{when}:\n{}", found.join("\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The parent cgroup that all daemons share; in the hierarchies that only some pods need it is made with the first.
fn is_shared_parent(line: &str) -> bool {
    line.contains(": cgroup ") && line.ends_with("/gorae")
}

/// After the daemon's end everything is as before its start, except for the parent cgroup that all daemons share, and the
/// registry, which ends with the node.
fn assert_nothing_stays(outside: &Snapshot, node: &Node) {
    let begun = Instant::now();
    loop {
        let mut found = outside.difference(&Snapshot::take(&[]));
        found.retain(|line| !line.contains("docker-registry") && !node.is_disk(line));
        found.retain(|line| !is_shared_parent(line));
        if found.is_empty() {
            return;
        }
        let log = node.daemon().log();
        assert!(begun.elapsed() < SETTLING, "after goraed's end:\n{}\n{log}", found.join("\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn print_tail(log: &str) {
    let start = log.len().saturating_sub(LOG_TAIL);
    let start = (start..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
    eprintln!("---- goraed's last words ----\n{}\n----", &log[start..]);
}

/// After a failure: ends, unmounts and deletes what is left, so that the next test starts clean.
fn clear_away(outside: &Snapshot) {
    for line in outside.difference(&Snapshot::take(&[])) {
        let Some(line) = line.strip_prefix("left behind: ") else { continue };
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("process"), Some(pid)) => quietly("kill", &["-9", pid]),
            (Some("mount"), Some(_)) => quietly("umount", &["-l", line.rsplit(' ').next().unwrap_or_default()]),
            (Some("pinned"), _) => {
                let file = line.rsplit(' ').next().unwrap_or_default();
                quietly("umount", &["-l", file]);
                quietly("rm", &["-f", file]);
            }
            (Some("link"), Some(name)) => quietly("ip", &["link", "delete", name.split('@').next().unwrap_or(name)]),
            _ => {}
        }
    }
    quietly("nft", &["flush", "ruleset"]);
    std::thread::sleep(Duration::from_millis(100));
    for line in outside.difference(&Snapshot::take(&[])).iter().rev() {
        if let Some(group) = line.strip_prefix("left behind: cgroup ") {
            quietly("rmdir", &[group]);
        }
    }
}

/// Runs a command whose failure changes nothing.
fn quietly(program: &str, words: &[&str]) {
    let _ = Command::new(program).args(words).output();
}

/// Waits until `look` gives something; panics after ten seconds.
pub async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to this: {what}");
}
