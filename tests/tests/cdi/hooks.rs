// SPDX-License-Identifier: Apache-2.0
//! Hooks: when they run, where, with what on their standard input, and what their failures do.

use crate::{ask, gadget};
use gorae_proto::cri::ContainerState;
use gorae_tests::{Container, Node, on_a_node};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// A hook that is a shell script.
fn hook(point: &str, script: &str) -> Value {
    json!({"hookName": point, "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["FROM=the spec"]})
}

/// A script that appends a line `POINT NETWORK-NAMESPACE STATE` to a file.
fn note(point: &str, file: &Path) -> Value {
    hook(point, &format!("echo {point} $(readlink /proc/self/ns/net) \"$(cat)\" >> {}", file.display()))
}

async fn start(node: &Node, edits: Value) -> Container {
    gadget(node, &edits);
    let pod = node.pod("hooks").run().await;
    pod.container("c").script("sleep 1000").with(ask("example.com/gadget=one")).create().await
}

#[test]
fn hooks_run_in_their_order_and_namespaces_with_the_state_on_stdin() {
    on_a_node(async |node| {
        let out = node.directory("out");
        let file = out.join("notes");
        let inside = Path::new("/out/notes");
        // In no order: the points decide, not the file.
        gadget(
            node,
            &json!({"hooks": [
                note("poststop", &file),
                note("startContainer", inside),
                note("createContainer", &file),
                note("poststart", &file),
                note("createRuntime", &file),
                note("prestart", &file),
            ]}),
        );
        let pod = node.pod("hooks").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .mount(&out, "/out")
            .with(ask("example.com/gadget=one"))
            .with(|c| drop(c.annotations.insert("note".into(), "a \"quoted\" one".into())))
            .start()
            .await;
        let pid = container.info().await["pid"].as_i64().expect("a running container has a pid");
        let own_net = container.exec(["readlink", "/proc/self/ns/net"]).await.stdout.trim().to_owned();
        container.stop(0).await;
        container.remove().await;
        let here = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().map(|l| l.splitn(3, ' ').collect::<Vec<_>>()).collect();
        let expected = [
            ("prestart", &here, "creating", pid),
            ("createRuntime", &here, "creating", pid),
            ("createContainer", &own_net, "creating", pid),
            ("startContainer", &own_net, "created", 1),
            ("poststart", &here, "running", pid),
            ("poststop", &here, "stopped", 0),
        ];
        assert_eq!(lines.len(), expected.len(), "{text}");
        for (line, (point, namespace, status, pid)) in lines.iter().zip(expected) {
            let state: Value = serde_json::from_str(line[2]).unwrap_or_else(|e| panic!("{}: {e}", line[2]));
            assert_eq!((line[0], line[1]), (point, namespace.as_str()), "{text}");
            assert_eq!((state["status"].as_str(), state["pid"].as_i64()), (Some(status), Some(pid)), "{state}");
            assert_eq!(state["id"], container.id());
            assert_eq!(state["annotations"]["note"], "a \"quoted\" one");
            assert!(state["bundle"].as_str().is_some_and(|b| b.starts_with('/')) && state["ociVersion"].is_string());
        }
    });
}

#[test]
fn a_create_hook_finds_the_root_through_the_bundle_and_changes_it() {
    on_a_node(async |node| {
        // What the hooks of graphics drivers do: they read the bundle's config.json and write below its root.
        let script = r#"bundle=$(sed 's/.*"bundle":"\([^"]*\)".*/\1/')
            grep -q '"path":"rootfs"' $bundle/config.json && echo "made with $FROM" > $bundle/rootfs/made-by-hook"#;
        let container = start(node, json!({"hooks": [hook("createContainer", script)]})).await;
        container.start().await;
        assert_eq!(container.exec(["cat", "/made-by-hook"]).await.stdout, "made with the spec\n");
        let seen = container.sh("cat /proc/mounts").await.stdout;
        assert!(!seen.contains("bundle"), "the container does not see where its root was: {seen}");
    });
}

#[test]
fn a_hook_finds_the_whole_configuration_in_the_bundle() {
    on_a_node(async |node| {
        let file = node.directory("out").join("config.json");
        let script = format!(r#"cp $(sed 's/.*"bundle":"\([^"]*\)".*/\1/')/config.json {}"#, file.display());
        gadget(node, &json!({"hooks": [hook("createRuntime", &script)]}));
        let container = node.pod("hooks").run().await.container("c").script("sleep 1000");
        let container = container.security(|s| {
            s.run_as_user = Some(gorae_proto::cri::Int64Value { value: 1001 });
            s.seccomp = Some(gorae_proto::cri::SecurityProfile::default());
        });
        let container = container.with(ask("example.com/gadget=one")).start().await;
        let mut found: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(found["process"]["user"]["uid"], 1001);
        assert_eq!(found["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(found["hooks"]["createRuntime"][0]["env"], json!(["FROM=the spec"]));
        // The same as everybody sees later, when the image has said the user's groups.
        let mut shown = container.info().await["runtimeSpec"].take();
        for config in [&mut found, &mut shown] {
            assert_eq!(config["process"]["user"].take()["uid"], 1001);
        }
        assert_eq!(found, shown);
    });
}

#[test]
fn a_start_hook_has_no_more_rights_than_the_program() {
    on_a_node(async |node| {
        let out = node.directory("out");
        std::os::unix::fs::chown(&out, Some(1001), Some(1001)).unwrap();
        gadget(
            node,
            &json!({"hooks": [hook("startContainer", "{ id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /proc/self/fd; } > /out/who")]}),
        );
        let pod = node.pod("rights").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .mount(&out, "/out")
            .security(|s| {
                s.run_as_user = Some(gorae_proto::cri::Int64Value { value: 1001 });
                s.no_new_privs = true;
            })
            .with(ask("example.com/gadget=one"))
            .start()
            .await;
        let program = container.sh("id -u; grep -E 'CapEff|NoNewPrivs' /proc/1/status").await.stdout;
        let hook = std::fs::read_to_string(out.join("who")).unwrap();
        assert!(hook.starts_with(&program), "{hook} against {program}");
        let descriptors = hook[program.len()..].split_whitespace().count();
        assert!(descriptors <= 4, "0, 1, 2 and the listed directory: {hook}");
    });
}

#[test]
fn a_hook_that_fails_ends_the_start_with_its_words() {
    on_a_node(async |node| {
        for point in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] {
            gadget(node, &json!({"hooks": [hook(point, "echo the driver is not loaded >&2; exit 5")]}));
            let pod = node.pod(point).run().await;
            let container = pod.container("c").script("sleep 1000").with(ask("example.com/gadget=one")).create().await;
            let error = container.try_start().await.expect_err("the hook fails");
            for said in [point, "/bin/sh", "code 5", "the driver is not loaded"] {
                assert!(error.message().contains(said), "{point}: {error:?}");
            }
            let status = container.status().await;
            assert_eq!((status.exit_code, status.reason.as_str()), (128, "StartError"), "{point}");
            pod.remove().await;
        }
    });
}

#[test]
fn a_hook_that_takes_too_long_is_ended() {
    on_a_node(async |node| {
        for point in ["createRuntime", "createContainer"] {
            let mut slow = hook(point, "sleep 100 & wait");
            slow["timeout"] = 1.into();
            gadget(node, &json!({"hooks": [slow]}));
            let pod = node.pod(point).run().await;
            let container = pod.container("c").script("sleep 1000").with(ask("example.com/gadget=one")).create().await;
            let begun = Instant::now();
            let error = container.try_start().await.expect_err("the hook hangs");
            assert!(error.message().contains("did not exit within 1s"), "{error:?}");
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert_eq!(container.status().await.state(), ContainerState::ContainerExited);
            pod.remove().await;
        }
    });
}

#[test]
fn a_hook_of_the_end_that_fails_is_logged_and_changes_nothing() {
    on_a_node(async |node| {
        let container = start(node, json!({"hooks": [hook("poststop", "echo no way back >&2; exit 9")]})).await;
        container.start().await;
        container.stop(0).await;
        let status = container.status().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "Error"));
        container.remove().await;
        let begun = Instant::now();
        while !node.daemon().log().contains("no way back") {
            assert!(begun.elapsed() < Duration::from_secs(10), "the log never told of the hook");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn hooks_of_the_end_run_when_the_shim_was_killed_and_while_the_daemon_is_away() {
    on_a_node(async |node| {
        let file = node.directory("out").join("notes");
        gadget(node, &json!({"hooks": [note("poststop", &file)]}));
        let pod = node.pod("lost").run().await;
        let one = pod.container("a").script("sleep 1000").with(ask("example.com/gadget=one")).start().await;
        let pid = one.info().await["pid"].as_i64().expect("a pid");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let shim: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::Signal::SIGKILL).unwrap();
        one.ended().await;
        let two = pod.container("b").script("sleep 1").with(ask("example.com/gadget=one")).start().await;
        node.daemon().kill();
        let begun = Instant::now();
        while std::fs::read_to_string(&file).unwrap_or_default().lines().count() < 2 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the hooks of the end never ran");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        node.restart().await;
        assert_eq!(two.ended().await.exit_code, 0);
        let notes = std::fs::read_to_string(&file).unwrap();
        assert!(notes.contains(one.id()) && notes.contains(two.id()) && notes.lines().count() == 2, "{notes}");
    });
}
