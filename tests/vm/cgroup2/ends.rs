// SPDX-License-Identifier: Apache-2.0
//! Ends: of commands, of containers that are frozen, and of those that make cgroups themselves.

use crate::{below, group, said, say, shell};
use gorae_tests::on_a_node;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tonic::Code;

#[test]
fn a_command_that_takes_too_long_ends_with_what_left_its_session() {
    on_a_node(async |node| {
        let container = shell(&node.pod("timeout").run().await).await;
        let group = group(&container).await;
        let alive = said(&group, "cgroup.procs");
        let script = "setsid sh -c 'trap \"\" TERM HUP; sleep 4321 & sleep 4321' & sleep 4321";
        let begun = Instant::now();
        let error = container.try_exec(["sh", "-c", script], 1).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(container.sh("ps | grep -c '[s]leep 4321'").await.stdout, "0\n");
        assert_eq!(said(&group, "cgroup.procs"), alive);
        assert_eq!(below(&group), Vec::<PathBuf>::new(), "no group of an exec stays");
    });
}

#[test]
fn a_frozen_container_holds_no_command_and_no_stop() {
    on_a_node(async |node| {
        let container = shell(&node.pod("frozen").run().await).await;
        let group = group(&container).await;
        say(&group, "cgroup.freeze", "1");
        let begun = Instant::now();
        let error = container.try_exec(["true"], 1).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        container.stop(1).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(container.status().await.exit_code, 137);
        container.remove().await;
        assert!(!group.exists(), "{}", group.display());
    });
}

/// What a container with a systemd or a runtime in it does: a group of its own for itself, controllers for it.
const NEST: &str = "g=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); mkdir $g/nest && echo 0 >$g/nest/cgroup.procs \
    && echo '+memory +pids' >$g/cgroup.subtree_control && echo nested; sleep 1000";

#[test]
fn a_privileged_container_may_make_groups_and_still_runs_commands_and_ends() {
    on_a_node(async |node| {
        let privileged = node.pod("nest").with(|c| {
            let linux = c.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().privileged = true;
        });
        let container = privileged.run().await.container("c").script(NEST).security(|s| s.privileged = true);
        let container = container.start().await;
        container.has_printed(|line| line == "nested").await;
        assert_eq!(container.sh("echo hi").await.stdout, "hi\n");
        let error = container.try_exec(["sh", "-c", "sleep 4321 & sleep 4321"], 1).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert_eq!(container.sh("ps | grep -c '[s]leep 4321'").await.stdout, "0\n");
        container.stop(0).await;
        container.remove().await;
    });
}
