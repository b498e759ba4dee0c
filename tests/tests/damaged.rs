// SPDX-License-Identifier: Apache-2.0
//! Records that are damaged on disk while the daemon is away: each costs its own object and nothing else. And records
//! that are whole and another program's: they cost nothing, for the daemon does not start.

use gorae_proto::cri::{ContainerState, PodSandboxState};
use gorae_tests::testing::soon;
use gorae_tests::{BUSYBOX, Node, TINY, on_a_node};
use std::path::Path;
use tonic::Code;

/// Turns over one byte in the middle of a file.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(file, bytes).expect("the file is written");
}

/// The log must say which object is lost.
fn is_told(node: &Node, id: &str) {
    assert!(node.daemon().log().contains(&id[..12]), "nothing is said about {id}");
}

#[test]
fn a_pod_with_a_damaged_record_is_lost_and_the_others_go_on() {
    on_a_node(async |node| {
        let (lost, kept) = (node.pod("lost").run().await, node.pod("kept").port(18_080, 80).run().await);
        let orphan = lost.container("orphan").image(TINY).start().await;
        let container = kept.container("c").image(TINY).start().await;
        node.daemon().kill();
        damage(&node.daemon().root().join("pods").join(lost.id()).join("record"));
        node.restart().await;
        assert_eq!(lost.try_status().await.unwrap_err().code(), Code::NotFound);
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
        is_told(node, lost.id());
        assert_eq!(kept.status().await.state(), PodSandboxState::SandboxReady);
        assert_eq!(container.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        // Its containers are objects of their own, for kubelet to see and to clear away.
        orphan.status().await;
        orphan.stop(0).await;
        assert_eq!(orphan.status().await.state(), ContainerState::ContainerExited);
        orphan.remove().await;
        // Nothing of it holds up a pod of the same name.
        node.pod("lost").run().await;
        std::fs::remove_dir_all(node.daemon().root().join("damaged")).unwrap();
    });
}

#[test]
fn an_image_with_a_damaged_record_is_lost_until_it_is_pulled_again() {
    on_a_node(async |node| {
        node.cri().pull(TINY).await.unwrap();
        let lost = node.cri().pull(BUSYBOX).await.unwrap();
        let hex = lost.trim_start_matches("sha256:");
        node.daemon().kill();
        damage(&node.daemon().root().join("images/images").join(format!("sha256-{hex}")));
        node.restart().await;
        let images = node.cri().list_images().await.unwrap();
        assert_eq!(images.iter().map(|image| image.repo_tags[0].as_str()).collect::<Vec<_>>(), [TINY]);
        assert!(node.cri().image(BUSYBOX).await.unwrap().is_none());
        is_told(node, hex);
        assert_eq!(node.cri().pull(BUSYBOX).await.unwrap(), lost);
        let pod = node.pod("again").run().await;
        let container = pod.container("c").image(BUSYBOX).script("echo whole").start().await;
        assert_eq!(container.ended().await.exit_code, 0);
    });
}

/// Takes a field out of a record, as a version before that field would have written it.
fn without(record: &Path, kind: &str, field: &str) -> Vec<u8> {
    let bytes = std::fs::read(record).unwrap_or_else(|e| panic!("{}: {e}", record.display()));
    let body = gorae_kernel::checked::decode(kind, 1, &bytes).expect("a whole record").body;
    let mut value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    value.as_object_mut().expect("an object").remove(field).expect("it has the field");
    std::fs::write(record, gorae_kernel::checked::encode(kind, 1, &serde_json::to_vec(&value).expect("JSON")))
        .expect("the file is written");
    bytes
}

#[test]
fn records_of_another_program_keep_the_daemon_from_starting_and_every_pod_alive() {
    on_a_node(async |node| {
        let pod = node.pod("kept").run().await;
        let container = pod.container("c").image(TINY).start().await;
        let pid = container.info().await["pid"].as_u64().expect("info has the process id");
        let (root, state) = (node.daemon().root(), node.daemon().state());
        for (record, kind, field) in [
            (root.join("pods").join(pod.id()).join("record"), "pod", "made_cgroups"),
            (state.join("pods").join(pod.id()).join("ready"), "ready", "boot_id"),
            (root.join("containers").join(container.id()).join("record"), "container", "cgroup"),
            (root.join("network"), "network", "table"),
        ] {
            node.daemon().kill();
            let (ours, since) = (without(&record, kind, field), node.daemon().log().len());
            node.daemon().start().unwrap();
            let said = soon("goraed says why it does not start", async || {
                let said = node.daemon().log()[since..].to_owned();
                said.contains("goraed: ").then_some(said)
            })
            .await;
            for part in [record.to_str().unwrap(), field, "version 1;", "run that one again"] {
                assert!(said.contains(part), "{part} is not in {said}");
            }
            assert!(Path::new(&format!("/proc/{pid}")).exists(), "the container was ended for {kind}");
            std::fs::write(&record, ours).unwrap();
            node.kill_and_restart().await;
            assert_eq!(container.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
        }
        assert_eq!(container.info().await["pid"], pid);
    });
}
