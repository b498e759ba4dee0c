// SPDX-License-Identifier: Apache-2.0
//! The device policy, a BPF program on the container's cgroup.

use crate::shell;
use gorae_tests::on_a_node;

#[test]
fn the_disk_of_the_machine_cannot_be_opened_by_its_number() {
    on_a_node(async |node| {
        let pod = node.pod("devices").run().await;
        let container = shell(&pod).await;
        let numbers = std::fs::read_to_string("/sys/block/vda/dev").unwrap();
        let (major, minor) = numbers.trim().split_once(':').unwrap();
        let open = format!("mknod /disk b {major} {minor}; head -c 1 /disk");
        let tried = container.sh(&open).await;
        assert_ne!(tried.code, 0, "{tried:?}");
        assert!(tried.stderr.contains("Operation not permitted"), "{tried:?}");
        let usual = container.sh("echo x > /dev/null && head -c 1 /dev/zero > /dev/full").await;
        assert!(usual.stderr.contains("No space left"), "{usual:?}");
        let privileged = node.pod("open").with(|c| {
            let linux = c.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().privileged = true;
        });
        let privileged = privileged.run().await.container("p").script("sleep 1000").security(|s| s.privileged = true);
        let done = privileged.start().await.sh(&open).await;
        assert_eq!(done.code, 0, "{done:?}");
    });
}
