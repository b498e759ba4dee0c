// SPDX-License-Identifier: Apache-2.0
//! Devices that cannot be had: the create fails with a sentence, and nothing is made.

use crate::{ask, gadget, write};
use gorae_tests::{Pod, TINY, on_a_node};
use serde_json::json;
use tonic::{Code, Status};

async fn refused(pod: &Pod, device: &str) -> Status {
    let answer = pod.container("c").image(TINY).with(ask(device)).try_create().await;
    let status = answer.map(|c| c.id().to_owned()).expect_err("refused");
    assert!(pod.cri().list_containers(None).await.expect("an answer").is_empty(), "nothing is made");
    status
}

#[test]
fn a_device_that_no_file_has_is_named_with_the_directories() {
    on_a_node(async |node| {
        gadget(node, &json!({}));
        write(node, false, "broken.json", "{");
        let pod = node.pod("missing").run().await;
        let status = refused(&pod, "example.com/gadget=two").await;
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
        for said in ["example.com/gadget=two", "cdi/etc", "cdi/run", "broken.json"] {
            assert!(status.message().contains(said), "{said}: {status:?}");
        }
    });
}

#[test]
fn a_name_that_is_not_qualified_is_an_invalid_argument() {
    on_a_node(async |node| {
        let pod = node.pod("names").run().await;
        for name in ["", "gadget", "/dev/null", "example.com/gadget", "example.com/gadget=", "example.com/a=b=c"] {
            assert_eq!(refused(&pod, name).await.code(), Code::InvalidArgument, "{name:?}");
        }
    });
}

#[test]
fn a_device_in_two_files_of_one_directory_is_refused_with_both_names() {
    on_a_node(async |node| {
        let spec = r#"{"cdiVersion": "0.6.0", "kind": "example.com/gadget",
            "devices": [{"name": "one", "containerEdits": {"env": ["A=1"]}}]}"#;
        write(node, true, "a.json", spec);
        write(node, true, "b.json", spec);
        let pod = node.pod("conflict").run().await;
        let status = refused(&pod, "example.com/gadget=one").await;
        assert!(status.message().contains("a.json") && status.message().contains("b.json"), "{status:?}");
    });
}

#[test]
fn edits_that_this_version_cannot_make_are_refused() {
    on_a_node(async |node| {
        let pod = node.pod("edits").run().await;
        let table = [
            (json!({"netDevices": [{"hostInterfaceName": "eth9", "name": "eth1"}]}), "netDevices"),
            (json!({"intelRdt": {"closID": "gold"}}), "intelRdt"),
            (json!({"deviceNodes": [{"path": "/dev/gadget0"}]}), "/dev/gadget0"),
            (json!({"deviceNodes": [{"path": "/dev/gadget0", "hostPath": "/etc/passwd"}]}), "/etc/passwd"),
            (json!({"mounts": [{"hostPath": "/etc", "containerPath": "/x", "type": "ext4"}]}), "ext4"),
            (json!({"mounts": [{"hostPath": "/etc", "containerPath": "/x", "options": ["umask=0"]}]}), "umask=0"),
        ];
        for (edits, said) in table {
            gadget(node, &edits);
            let status = refused(&pod, "example.com/gadget=one").await;
            assert!(status.message().contains(said), "{edits}: {status:?}");
        }
    });
}
