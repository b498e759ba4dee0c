// SPDX-License-Identifier: Apache-2.0
//! Variables, nodes, mounts and groups.

use crate::{ask, gadget, write};
use gorae_proto::cri::Int64Value;
use gorae_tests::on_a_node;
use serde_json::json;

#[test]
fn a_device_brings_variables_nodes_mounts_and_groups() {
    on_a_node(async |node| {
        let host = node.directory("driver");
        std::fs::write(host.join("library"), "of the host\n").unwrap();
        gadget(
            node,
            &json!({
                "env": ["GADGET=one", "SHELL_SAYS=device"],
                "deviceNodes": [
                    {"path": "/dev/gadget0", "hostPath": "/dev/null", "fileMode": 0o640, "uid": 7, "gid": 8},
                    {"path": "/dev/sub/zero", "type": "c", "major": 1, "minor": 5, "permissions": "r"},
                ],
                "mounts": [{"hostPath": host, "containerPath": "/opt/driver", "options": ["ro", "nosuid", "rbind"]}],
                "additionalGids": [4242],
            }),
        );
        let pod = node.pod("cdi").run().await;
        let container = pod
            .container("c")
            .script("echo $GADGET $SHELL_SAYS; sleep 1000")
            .env("SHELL_SAYS", "request")
            .with(ask("example.com/gadget=one"))
            .start()
            .await;
        container.has_printed(|line| line == "one device").await;
        let nodes = container.sh("stat -c '%F %t:%T %a %u:%g' /dev/gadget0 /dev/sub/zero").await.stdout;
        assert_eq!(nodes, "character special file 1:3 640 7:8\ncharacter special file 1:5 666 0:0\n");
        assert_eq!(container.sh("echo x > /dev/gadget0 && head -c 3 /dev/sub/zero | wc -c").await.stdout, "3\n");
        assert_eq!(container.sh("cat /opt/driver/library").await.stdout, "of the host\n");
        assert!(container.sh("touch /opt/driver/new").await.stderr.contains("Read-only"));
        let groups = container.sh("echo $GADGET; id -G").await.stdout;
        assert!(groups.starts_with("one\n") && groups.split_whitespace().any(|g| g == "4242"), "{groups}");
        let status = container.status().await;
        assert!(status.mounts.is_empty(), "the status shows the request's mounts only: {:?}", status.mounts);
    });
}

#[test]
fn a_node_without_an_owner_belongs_to_the_process() {
    on_a_node(async |node| {
        gadget(node, &json!({"deviceNodes": [{"path": "/dev/gadget0", "hostPath": "/dev/null", "fileMode": 0o600}]}));
        let pod = node.pod("owner").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .security(|s| {
                s.run_as_user = Some(Int64Value { value: 1001 });
                s.run_as_group = Some(Int64Value { value: 1002 });
            })
            .with(ask("example.com/gadget=one"))
            .start()
            .await;
        assert_eq!(container.sh("stat -c %u:%g /dev/gadget0; echo x > /dev/gadget0").await.stdout, "1001:1002\n");
    });
}

#[test]
fn annotations_of_device_plugins_name_devices_too() {
    on_a_node(async |node| {
        gadget(node, &json!({"env": ["GADGET=by annotation"]}));
        let pod = node.pod("annotation").run().await;
        let annotate = |c: &mut gorae_proto::cri::ContainerConfig| {
            c.annotations.insert("cdi.k8s.io/example-plugin_1".into(), "example.com/gadget=one".into());
        };
        let container = pod.container("c").script("echo $GADGET").with(annotate).start().await;
        container.ended().await;
        assert_eq!(container.stdout(), ["by annotation"]);
    });
}

#[test]
fn yaml_is_read_and_the_later_directory_wins() {
    on_a_node(async |node| {
        let spec = |value: &str| {
            format!(
                "cdiVersion: 0.6.0\nkind: example.com/gadget\ncontainerEdits:\n  env: [EVERY={value}]\n\
                 devices:\n- name: one\n  containerEdits:\n    env:\n    - ONE={value}\n\
                 - name: only-{value}\n  containerEdits:\n    env: [ONLY={value}]\n"
            )
        };
        write(node, false, "gadget.yaml", &spec("first"));
        write(node, true, "gadget.yaml", &spec("last"));
        write(node, true, "broken.yaml", "kind: [");
        write(node, true, "newer.json", r#"{"cdiVersion": "7.0.0", "kind": "example.com/gadget", "devices": []}"#);
        let pod = node.pod("yaml").run().await;
        let container = pod
            .container("c")
            .script("echo $EVERY $ONE $ONLY")
            .with(ask("example.com/gadget=one"))
            .with(ask("example.com/gadget=only-last"))
            .start()
            .await;
        container.ended().await;
        assert_eq!(container.stdout(), ["last last last"]);
        let log = node.daemon().log();
        assert!(log.contains("broken.yaml") && log.contains("newer.json"), "the log names what is not used");
    });
}

#[test]
fn what_was_settled_at_create_counts_at_start() {
    on_a_node(async |node| {
        gadget(node, &json!({"env": ["GADGET=old"]}));
        let pod = node.pod("settled").run().await;
        let container = pod.container("c").script("echo $GADGET").with(ask("example.com/gadget=one")).create().await;
        gadget(node, &json!({"env": ["GADGET=new"]}));
        node.kill_and_restart().await;
        container.start().await;
        container.ended().await;
        assert_eq!(container.stdout(), ["old"]);
    });
}
