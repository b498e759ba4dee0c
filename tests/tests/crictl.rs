// SPDX-License-Identifier: Apache-2.0
//! The real crictl, as people type it, with its output looked at.

use gorae_tests::{BUSYBOX, Crictl, TINY, on_a_node};
use serde_json::json;

/// Blocks: crictl is a program, and nothing else runs on the node meanwhile.
fn with_crictl(body: impl FnOnce(&Crictl)) {
    on_a_node(async |node| tokio::task::block_in_place(|| body(&Crictl::of(node))));
}

#[test]
fn crictl_takes_a_pod_through_its_life() {
    with_crictl(|crictl| {
        crictl.run(&["pull", BUSYBOX]);
        let pod = crictl.run(&["runp", &crictl.pod_file("hand")]);
        assert_eq!(pod.len(), 64, "{pod:?}");
        let file = crictl.container_file("c", BUSYBOX, &["sh", "-c", "echo hello; sleep 1000"]);
        let container = crictl.run(&["create", &pod, &file, &crictl.pod_file("hand")]);
        assert_eq!(crictl.run(&["start", &container]), container);
        assert_eq!(crictl.run(&["exec", "-s", &container, "echo", "hi"]), "hi");
        let failed = crictl.try_run(&["exec", "-s", &container, "sh", "-c", "exit 3"]);
        assert!(String::from_utf8_lossy(&failed.stderr).contains('3'), "{failed:?}");
        assert_eq!(crictl.run(&["logs", &container]), "hello");

        let short = &container[..13];
        let ps = crictl.run(&["ps"]);
        assert!(ps.contains(short) && ps.contains("Running") && ps.contains(BUSYBOX), "{ps}");
        let pods = crictl.run(&["pods"]);
        assert!(pods.contains(&pod[..13]) && pods.contains("Ready") && pods.contains("default"), "{pods}");

        assert_eq!(crictl.run(&["stop", short]), short);
        assert!(crictl.run(&["ps", "-a"]).contains("Exited"));
        assert!(!crictl.run(&["ps"]).contains(short));
        crictl.run(&["rm", short]);
        assert!(!crictl.run(&["ps", "-a"]).contains(short));
        assert!(crictl.run(&["stopp", &pod]).contains(&pod));
        assert!(crictl.run(&["pods"]).contains("NotReady"));
        assert!(crictl.run(&["rmp", &pod]).contains(&pod));
        assert!(!crictl.run(&["pods"]).contains(&pod[..13]));
    });
}

#[test]
fn inspection_shows_what_tools_read() {
    with_crictl(|crictl| {
        crictl.run(&["pull", TINY]);
        let pod = crictl.run(&["runp", &crictl.pod_file("seen")]);
        let file = crictl.container_file("c", TINY, &["/tiny", "sleep"]);
        let container = crictl.run(&["create", &pod, &file, &crictl.pod_file("seen")]);
        crictl.run(&["start", &container]);

        let seen = crictl.json(&["inspect", &container]);
        assert_eq!(seen["status"]["state"], "CONTAINER_RUNNING");
        assert_eq!(seen["status"]["metadata"]["name"], "c");
        assert!(seen["info"]["pid"].as_u64().is_some_and(|pid| pid > 1), "{}", seen["info"]);
        assert_eq!(seen["info"]["sandboxID"], pod);
        assert!(seen["info"]["runtimeSpec"].is_object(), "{}", seen["info"]);
        let seen = crictl.json(&["inspectp", &pod]);
        assert_eq!(seen["status"]["state"], "SANDBOX_READY");
        assert_eq!(seen["status"]["labels"]["made-by"], "crictl");
        assert!(seen["status"]["network"]["ip"].as_str().is_some_and(|ip| !ip.is_empty()));

        let stats = crictl.json(&["stats", "-o", "json"]);
        let stats = &stats["stats"][0];
        assert_eq!(stats["attributes"]["id"], container);
        assert_ne!(stats["memory"]["workingSetBytes"]["value"], "0");
        crictl.run(&["rmp", "-f", &pod]);
    });
}

#[test]
fn crictl_pulls_shows_and_removes_an_image() {
    with_crictl(|crictl| {
        assert!(crictl.run(&["pull", TINY]).contains("sha256:"));
        let images = crictl.run(&["images"]);
        assert!(images.contains("images.gorae.test/gorae/tiny") && images.lines().count() == 2, "{images}");
        let seen = crictl.json(&["inspecti", TINY]);
        assert_eq!(seen["status"]["repoTags"], json!([TINY]));
        assert_eq!(seen["info"]["imageSpec"]["config"]["Entrypoint"], json!(["/tiny"]));
        let usage = crictl.json(&["imagefsinfo"]);
        assert!(usage["status"]["imageFilesystems"][0]["usedBytes"]["value"].is_string(), "{usage}");
        let id = seen["status"]["id"].as_str().unwrap().to_owned();
        assert!(crictl.run(&["rmi", &id]).contains("Deleted"));
        assert_eq!(crictl.run(&["images"]).lines().count(), 1);
    });
}

#[test]
fn the_runtime_tells_about_itself() {
    with_crictl(|crictl| {
        let version = crictl.run(&["version"]);
        assert!(version.contains("RuntimeName:  gorae") && version.contains("RuntimeApiVersion:  v1"), "{version}");
        let info = crictl.json(&["info"]);
        let ready = |kind: &str| {
            let conditions = info["status"]["conditions"].as_array().expect("there are conditions");
            conditions.iter().any(|c| c["type"] == kind && c["status"] == true)
        };
        assert!(ready("RuntimeReady") && ready("NetworkReady"), "{info}");
    });
}

#[test]
fn run_makes_pod_and_container_in_one_go() {
    with_crictl(|crictl| {
        let file = crictl.container_file("c", TINY, &["/tiny", "sleep"]);
        let container = crictl.run(&["run", &file, &crictl.pod_file("one-go")]);
        let container = container.lines().last().unwrap_or_default().to_owned();
        assert_eq!(crictl.json(&["inspect", &container])["status"]["state"], "CONTAINER_RUNNING");
        crictl.run(&["rmp", "-f", "-a"]);
        assert_eq!(crictl.run(&["ps", "-a"]).lines().count(), 1);
    });
}

#[test]
fn commands_with_streams_run_over_both_transports() {
    with_crictl(|crictl| {
        let file = crictl.container_file("c", BUSYBOX, &["sh", "-c", "sleep 1000"]);
        let container = crictl.run(&["run", &file, &crictl.pod_file("streams")]);
        let container = container.lines().last().unwrap_or_default().to_owned();
        for transport in ["spdy", "websocket"] {
            let out = crictl.try_run(&[
                "exec",
                "--transport",
                transport,
                &container,
                "sh",
                "-c",
                "echo out; echo err >&2; exit 5",
            ]);
            assert_eq!(String::from_utf8_lossy(&out.stdout), "out\n", "{transport}: {out:?}");
            let errors = String::from_utf8_lossy(&out.stderr);
            assert!(errors.contains("err\n") && errors.contains("exit code 5"), "{transport}: {out:?}");
        }
    });
}
