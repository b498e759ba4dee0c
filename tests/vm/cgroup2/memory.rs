// SPDX-License-Identifier: Apache-2.0
//! Memory that runs out: which processes are killed, and how that is reported.

use crate::{MIB, group, said, say};
use gorae_proto::cri::ContainerState;
use gorae_tests::{ContainerBuilder, TINY, on_a_node};
use std::path::Path;
use std::time::Duration;

/// Takes 200 MB in one process, says whether it was killed for that, and goes on.
const HELPER: &str = "dd if=/dev/zero of=/dev/null bs=200M; echo ended with $?; sleep 1000";

fn group_kill(container: ContainerBuilder, value: &str) -> ContainerBuilder {
    container.resources(|r| drop(r.unified.insert("memory.oom.group".into(), value.into())))
}

#[test]
fn memory_that_runs_out_while_the_daemon_is_away_is_told_by_the_next_one() {
    on_a_node(async |node| {
        let pod = node.pod("oom").run().await;
        let script = "sleep 2; exec head -c 100000000 /dev/zero | tail -c 90000000";
        let eater = pod.container("eater").script(script).memory_limit(32 * MIB).start().await;
        let alone = pod.container("alone").image(TINY).args(["eat", "200"]).memory_limit(32 * MIB).create().await;
        node.daemon().kill();
        tokio::time::sleep(Duration::from_secs(4)).await;
        node.restart().await;
        let status = eater.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
        alone.start().await;
        let status = alone.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
    });
}

#[test]
fn one_process_or_all_of_them_are_killed_as_it_was_asked() {
    on_a_node(async |node| {
        let pod = node.pod("group").run().await;
        let one = group_kill(pod.container("one").script(HELPER).memory_limit(32 * MIB), "0").start().await;
        one.has_printed(|line| line == "ended with 137").await;
        assert_eq!(one.status().await.state(), ContainerState::ContainerRunning);
        let all = group_kill(pod.container("all").script(HELPER).memory_limit(32 * MIB), "1").start().await;
        let status = all.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
        assert_eq!(all.stdout(), Vec::<String>::new());
    });
}

#[test]
fn a_command_that_takes_too_much_ends_alone() {
    on_a_node(async |node| {
        let pod = node.pod("exec").run().await;
        let container = pod.container("c").script("sleep 1000").memory_limit(32 * MIB).start().await;
        let done = container.exec(["dd", "if=/dev/zero", "of=/dev/null", "bs=200M"]).await;
        assert_eq!(done.code, 137, "{done:?}");
        let events = said(&group(&container).await, "memory.events");
        assert!(events.contains("oom_kill 1"), "a command counts as the container: {events}");
        assert_eq!(container.sh("echo hi").await.stdout, "hi\n");
        container.stop(0).await;
        assert_eq!(container.status().await.reason, "Error", "it was stopped, long after");
    });
}

#[test]
fn the_pods_limit_is_told_as_the_containers() {
    on_a_node(async |node| {
        let pod = Path::new("/sys/fs/cgroup/kube/pod");
        std::fs::create_dir_all(pod).unwrap();
        say(pod.parent().unwrap(), "cgroup.subtree_control", "+memory");
        say(pod, "memory.max", &(48 * MIB).to_string());
        let within = node.pod("within").with(|c| c.linux.as_mut().expect("set").cgroup_parent = "/kube/pod".into());
        let within = within.run().await;
        let status = within.container("c").image(TINY).args(["eat", "200"]).start().await.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
        within.remove().await;
        std::fs::remove_dir(pod).expect("nothing is left in it");
        std::fs::remove_dir(pod.parent().unwrap()).unwrap();
    });
}
