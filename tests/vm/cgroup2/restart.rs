// SPDX-License-Identifier: Apache-2.0
//! A new daemon over containers of an old one.

use crate::{MIB, group, resize, said, shell};
use gorae_proto::cri::LinuxContainerResources;
use gorae_tests::on_a_node;

#[test]
fn a_new_daemon_takes_over_limits_commands_and_clean_up() {
    on_a_node(async |node| {
        let pod = node.pod("kept").run().await;
        let container = shell(&pod).await;
        let group = group(&container).await;
        let init = container.info().await["pid"].clone();
        node.kill_and_restart().await;
        assert_eq!(container.info().await["pid"], init);
        assert_eq!(container.sh("echo hi").await.stdout, "hi\n");
        let new = LinuxContainerResources { memory_limit_in_bytes: 48 * MIB, ..Default::default() };
        resize(&pod, &container, new).await.unwrap();
        assert_eq!(said(&group, "memory.max"), (48 * MIB).to_string());
        container.stop(0).await;
        container.remove().await;
        assert!(!group.exists(), "{}", group.display());
    });
}
