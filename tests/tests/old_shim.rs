// SPDX-License-Identifier: Apache-2.0
//! Containers outlive an upgrade of the daemon, and with them the shims of an earlier build: this daemon serves those.
//! The earlier shim is built by `tests/tools/old-shim.sh`.

use gorae_proto::cri::*;
use gorae_tests::testing::on_a_node_with;
use gorae_tests::{Container, Node, TINY};
use std::path::PathBuf;

const MIB: i64 = 1 << 20;

fn old_shim() -> PathBuf {
    let shim = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../build/old-shim/gorae-shim"));
    assert!(shim.exists(), "{} is not there: run tests/tools/old-shim.sh", shim.display());
    shim.canonicalize().expect("it is there")
}

fn with_old_shim() -> String {
    format!("shim = {:?}\n", old_shim())
}

async fn first(container: &Container) -> u32 {
    let pid = container.info().await["pid"].as_u64().expect("info has the process id");
    u32::try_from(pid).expect("a process id")
}

/// Which program a container's shim runs.
async fn shim_of(container: &Container) -> PathBuf {
    let shim = gorae_tests::place::parent_of(first(container).await);
    let arguments = std::fs::read(format!("/proc/{shim}/cmdline")).expect("the shim is there");
    let name = arguments.split(|byte| *byte == 0).next().expect("a program");
    PathBuf::from(String::from_utf8_lossy(name).into_owned())
}

/// Everything that a running container's shim is asked for.
async fn is_served(node: &Node, container: &Container) {
    let output = container.sh("echo out; echo err >&2; exit 3").await;
    assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.code), ("out\n", "err\n", 3));
    let slow = container.try_exec(["sleep", "100"], 1).await.expect_err("it takes too long");
    assert_eq!(slow.code(), tonic::Code::DeadlineExceeded, "{slow:?}");
    let change = LinuxContainerResources { memory_limit_in_bytes: 96 * MIB, ..Default::default() };
    let update = UpdateContainerResourcesRequest {
        container_id: container.id().into(),
        linux: Some(change),
        ..Default::default()
    };
    node.cri().runtime().update_container_resources(update).await.expect("the limit can be changed");
    std::fs::rename(container.log_file(), container.log_file().with_extension("old")).expect("rotated");
    container.try_reopen_log().await.expect("the log is opened again");
    assert!(container.log_file().exists());
    let stats = ContainerStatsRequest { container_id: container.id().into() };
    let stats = node.cri().runtime().container_stats(stats).await.expect("usage").into_inner().stats.expect("usage");
    assert!(stats.memory.is_some() && stats.cpu.is_some(), "{stats:?}");
}

#[test]
fn a_daemon_serves_the_shims_of_an_earlier_build_from_start_to_end() {
    on_a_node_with(&with_old_shim(), async |node| {
        let pod = node.pod("old").port(12_411, 80).run().await;
        let script = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.1; done";
        let container = pod.container("c").memory_limit(64 * MIB).script(script).start().await;
        assert_eq!(shim_of(&container).await, old_shim());
        container.has_printed(|line| line == "up").await;
        is_served(node, &container).await;
        container.stop(20).await;
        let status = container.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (5, "Error"));
        let missing = pod.container("missing").image(TINY).command(["/no/such/program"]).create().await;
        missing.try_start().await.expect_err("there is no such program");
        let status = missing.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"));
    });
}

#[test]
fn containers_of_an_earlier_build_live_through_the_upgrade_and_are_served_after_it() {
    on_a_node_with(&with_old_shim(), async |node| {
        let pod = node.pod("upgraded").shared_processes().run().await;
        let script = "trap 'exit 6' TERM; while :; do sleep 0.1; done";
        let [kept, ended] = ["kept", "ended"].map(|name| pod.container(name).script(script).start());
        let (kept, ended) = (kept.await, ended.await);
        let pid = kept.info().await["pid"].clone();
        let dies = nix::unistd::Pid::from_raw(i32::try_from(first(&ended).await).expect("a process id"));
        node.daemon().kill();
        let config = node.daemon().root().with_file_name("config.toml");
        let text = std::fs::read_to_string(&config).expect("the daemon's configuration");
        std::fs::write(&config, text.replace(&with_old_shim(), "")).expect("written");
        // It ends while no daemon is there.
        nix::sys::signal::kill(dies, nix::sys::signal::Signal::SIGKILL).expect("it runs");
        node.restart().await;

        assert_eq!(kept.info().await["pid"], pid, "it was taken back as it is");
        assert_eq!(shim_of(&kept).await, old_shim());
        assert_eq!(ended.ended().await.exit_code, 137);
        is_served(node, &kept).await;
        let new = pod.container("new").script("sleep 1000").start().await;
        assert_ne!(shim_of(&new).await, old_shim());
        assert_eq!(new.sh("echo beside").await.stdout, "beside\n");
        kept.stop(20).await;
        assert_eq!(kept.ended().await.exit_code, 6);
        kept.remove().await;
        pod.stop().await;
        pod.remove().await;
    });
}
