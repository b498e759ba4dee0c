// SPDX-License-Identifier: Apache-2.0
//! `ps`, `stop`, `start`, `rm`, `inspect`, `pods`, `stats`, `info`, `version`.

use crate::gorae::Gorae;
use gorae_tests::{BUSYBOX, Container, ContainerBuilder, Pod, on_a_node, testing::soon, web};
use std::os::unix::fs::PermissionsExt;
use tokio::io::AsyncReadExt;

#[test]
fn a_stopped_container_starts_again_with_its_files_name_port_and_log() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "mkdir -p /www; date +%N >>/www/starts; wc -l </www/starts; httpd -h /www -p 80; exec sleep 1000";
        gorae.ok(&["run", "-d", "--name", "web", "-p", "18081:80", BUSYBOX, "sh", "-c", script]).await;
        web::get_soon("127.0.0.1:18081", "/starts").await;
        for starts in 2..4 {
            assert_eq!(gorae.ok(&["stop", "-t", "0", "web"]).await, "web");
            assert!(web::get("127.0.0.1:18081", "/starts").await.is_err(), "the port is free");
            assert_eq!(gorae.json(&["ps", "-a"]).await[0]["state"], "exited");
            assert_eq!(gorae.ok(&["start", "web"]).await, "web");
            let page = web::get_soon("127.0.0.1:18081", "/starts").await.1;
            assert_eq!(page.lines().count(), starts);
            assert_eq!(gorae.ok(&["ps", "-aq"]).await.lines().count(), 1);
        }
        assert_eq!(gorae.ok(&["logs", "web"]).await, "1\n2\n3");
        assert_eq!(gorae.ok(&["start", "web"]).await, "web", "a running one is started already");
        gorae.ok(&["rm", "-f", "web"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_container_that_ended_by_itself_starts_again_in_its_pod() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let id = gorae.ok(&["run", "-d", "--name", "once", BUSYBOX, "sh", "-c", "echo x >>/f; cat /f"]).await;
        let ended = async || (gorae.json(&["ps", "-a"]).await[0]["state"] == "exited").then_some(());
        soon("it has ended", ended).await;
        let pod = gorae.ok(&["pods", "-q"]).await;
        // The start is by prefix of the id, and the new one has another.
        gorae.ok(&["start", &id[..10]]).await;
        soon("it has ended again", ended).await;
        assert_eq!(gorae.ok(&["pods", "-aq"]).await, pod);
        assert_eq!(gorae.ok(&["logs", "once"]).await, "x\nx\nx");
        assert_eq!(gorae.run(&["start", &id]).await.code, 1);
        gorae.ok(&["rm", "once"]).await;
        gorae.leaves_nothing().await;
    });
}

/// A container that asks for the files of an ended one.
fn next(pod: &Pod, name: &str, old: &Container) -> ContainerBuilder {
    let builder = pod.container(name).script("cat /f; sleep 1000");
    builder.with(|c| drop(c.annotations.insert("dev.gorae.continue".into(), old.id().into())))
}

#[test]
fn files_that_another_container_goes_on_with_are_not_taken_for_none() {
    on_a_node(async |node| {
        let pod = node.pod("files").run().await;
        let first = pod.container("first").script("echo x >/f").start().await;
        first.ended().await;
        let second = next(&pod, "second", &first).create().await;
        let third = next(&pod, "third", &first).create().await;
        second.start().await;
        let refused = third.try_start().await.expect_err("they are gone");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
        assert!(refused.message().contains("another container has taken them over"), "{refused:?}");
        soon("it has the files", async || (second.stdout() == ["x"]).then_some(())).await;
    });
}

#[test]
fn a_start_that_fails_keeps_the_files_that_were_taken_over() {
    on_a_node(async |node| {
        let pod = node.pod("kept").run().await;
        let first = pod.container("first").script("echo x >/f").start().await;
        first.ended().await;
        let broken = next(&pod, "broken", &first).command(["/no/such/program"]).create().await;
        broken.try_start().await.expect_err("there is no such program");
        let last = next(&pod, "last", &broken).start().await;
        soon("it has the files", async || (last.stdout() == ["x"]).then_some(())).await;
    });
}

#[test]
fn a_container_that_never_ran_has_no_files_to_go_on_with() {
    on_a_node(async |node| {
        let pod = node.pod("never").run().await;
        let failed = pod.container("failed").command(["/no/such/program"]).create().await;
        failed.try_start().await.expect_err("there is no such program");
        let next = next(&pod, "next", &failed).start().await;
        assert_eq!(next.exec(["ls", "/"]).await.code, 0);
    });
}

#[test]
fn names_are_taken_once_and_guesses_are_never_made() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "a", BUSYBOX, "sleep", "1000"]).await;
        let again = gorae.run(&["run", "-d", "--name", "a", BUSYBOX, "sleep", "1000"]).await;
        assert_eq!(again.code, 125);
        assert!(again.err.contains("\"a\" is used"), "{}", again.err);
        for command in ["stop", "start", "rm", "logs", "inspect"] {
            let ran = gorae.run(&[command, "nobody"]).await;
            assert_eq!(ran.code, 1);
            assert!(ran.err.contains("no such container") && ran.err.contains("nobody"), "{}", ran.err);
        }
        let refused = gorae.run(&["rm", "a", "nobody"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (1, ""));
        assert!(refused.err.contains("is running") && refused.err.contains("nobody"), "{}", refused.err);
        // The one that can be done is done.
        let half = gorae.run(&["rm", "-f", "nobody", "a"]).await;
        assert_eq!((half.code, half.out.as_str()), (1, "a\n"));
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_container_without_a_name_gets_two_words() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let id = gorae.ok(&["run", "-d", BUSYBOX, "sleep", "1000"]).await;
        let row = gorae.json(&["ps"]).await[0].clone();
        let name = row["name"].as_str().unwrap().to_owned();
        assert_eq!((row["id"].as_str(), name.split('_').count()), (Some(id.as_str()), 2));
        assert_eq!(gorae.ok(&["stop", "-t", "0", &name]).await, name);
        assert_eq!(gorae.ok(&["rm", &id[..8]]).await, id[..8]);
        gorae.leaves_nothing().await;
    });
}

#[test]
fn lists_are_tables_ids_or_json() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let words = ["run", "-d", "--name", "listed", "-l", "colour=re\x1b[31md", BUSYBOX, "sleep", "1000"];
        let id = gorae.ok(&words).await;
        let table = gorae.ok(&["ps"]).await;
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("CONTAINER ID   IMAGE"), "{table}");
        for part in [&id[..12], BUSYBOX, "sleep 1000", "Up ", "listed"] {
            assert!(lines[1].contains(part), "{part} is missing in {table}");
        }
        assert_eq!(gorae.ok(&["ps", "-q"]).await, id[..12]);
        assert_eq!(gorae.ok(&["ps", "-q", "--no-trunc"]).await, id);
        let json = gorae.ok(&["ps", "--format", "json"]).await;
        assert!(!json.contains('\x1b') && json.contains("re\\u001b[31md"), "{json}");
        let pods = gorae.ok(&["pods"]).await;
        assert!(pods.lines().nth(1).is_some_and(|l| l.contains("ready") && l.contains("listed")), "{pods}");
        gorae.ok(&["rm", "-f", "listed"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn inspect_shows_containers_pods_and_images() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let id = gorae.ok(&["run", "-d", "--name", "seen", "-e", "KEY=value", BUSYBOX, "sleep", "1000"]).await;
        let container = &gorae.json(&["inspect", "seen"]).await[0];
        assert_eq!((&container["kind"], &container["status"]["id"]), (&"container".into(), &id.clone().into()));
        assert_eq!(container["status"]["state"], "running");
        assert!(container["info"]["info"]["pid"].as_u64().is_some_and(|pid| pid > 1), "{container}");
        let pod = &gorae.json(&["inspect", "--type", "pod", "seen"]).await[0];
        assert_eq!((&pod["kind"], &pod["status"]["metadata"]["namespace"]), (&"pod".into(), &"gorae".into()));
        let both = gorae.json(&["inspect", BUSYBOX, &id[..12]]).await;
        assert_eq!((&both[0]["kind"], &both[1]["kind"]), (&"image".into(), &"container".into()));
        assert!(both[0]["info"]["info"]["imageSpec"]["config"].is_object(), "{}", both[0]);
        gorae.ok(&["rm", "-f", "seen"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn stats_show_what_a_container_uses() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let words = ["run", "-d", "--name", "busy", "-m", "100m", BUSYBOX, "sh", "-c", "while :; do :; done"];
        gorae.ok(&words).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let row = &gorae.json(&["stats"]).await[0];
        assert_eq!((&row["name"], row["memoryLimitBytes"].as_u64()), (&"busy".into(), Some(100 << 20)));
        let cpu = row["cpuPercent"].as_f64().unwrap();
        assert!((5.0..=150.0).contains(&cpu), "{row}");
        assert!(
            gorae.ok(&["stats", "--no-stream", "busy"]).await.lines().nth(1).is_some_and(|l| l.contains("100.0MiB"))
        );
        gorae.ok(&["rm", "-f", "busy"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn info_and_version_tell_of_the_daemon() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let version = gorae.json(&["version"]).await;
        assert_eq!((&version["daemon"]["name"], &version["daemon"]["apiVersion"]), (&"gorae".into(), &"v1".into()));
        let info = gorae.json(&["info"]).await;
        let root = node.daemon().root().display().to_string();
        assert_eq!(info["info"]["config"]["rootDir"], root);
        assert!(info["conditions"].as_array().is_some_and(|c| c.iter().all(|c| c["status"] == true)), "{info}");
        let words = gorae.ok(&["info"]).await;
        for part in ["RuntimeReady        yes", "NetworkReady        yes", &root, "Cgroup driver"] {
            assert!(words.contains(part), "{part} is missing in {words}");
        }
    });
}

#[test]
fn a_container_with_variables_is_attached_and_started_again_and_they_are_not_shown() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let script = "echo \"$PASSWORD $MARK\" >>/values; while :; do echo tick; sleep 0.1; done";
        let words = ["run", "-d", "--name", "c", "-e", "PASSWORD=s3cret=\"x\"", "-e", "MARK=\u{fc}\u{1f980}"];
        gorae.ok(&[&words[..], &[BUSYBOX, "sh", "-c", script]].concat()).await;
        let mut attached = gorae.spawn(&["attach", "c"]);
        let mut first = [0; 5];
        attached.stdout.as_mut().unwrap().read_exact(&mut first).await.unwrap();
        gorae.ok(&["stop", "-t", "0", "c"]).await;
        let attached = crate::gorae::end_of(attached).await;
        assert_eq!((&first, attached.code, attached.err.as_str()), (b"tick\n", 137, ""));
        let started = gorae.run(&["start", "c"]).await;
        assert_eq!((started.code, started.out.as_str(), started.err.as_str()), (0, "c\n", ""));
        let values = soon("it ran twice", async || {
            let values = gorae.run(&["exec", "c", "cat", "/values"]).await.out;
            (values.lines().count() == 2).then_some(values)
        });
        assert_eq!(values.await, "s3cret=\"x\" \u{fc}\u{1f980}\n".repeat(2));
        gorae.ok(&["rm", "-f", "c"]).await;
        gorae.leaves_nothing().await;
    });
}

#[test]
fn who_is_not_root_is_told_first_to_be() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        // Where everybody can reach it.
        let copy = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let program = copy.path().join("gorae");
        std::fs::copy(gorae_tests::place::binary("gorae"), &program).unwrap();
        let mut command = tokio::process::Command::new(&program);
        command.args(["ps", "--host", &format!("unix://{}", node.daemon().socket().display())]).uid(65_534).gid(65_534);
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("gorae: run it as root (sudo gorae …)"), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        gorae.ok(&["ps"]).await;
    });
}

#[test]
fn containers_are_stopped_at_the_same_time_and_named_in_the_order_typed() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let names = ["c", "a", "d", "b"];
        for name in names {
            let deaf = "trap '' TERM; touch /up; while :; do sleep 0.1; done";
            gorae.ok(&["run", "-d", "--name", name, BUSYBOX, "sh", "-c", deaf]).await;
        }
        for name in names {
            let up = async || (gorae.run(&["exec", name, "ls", "/up"]).await.code == 0).then_some(());
            soon("it does not hear", up).await;
        }
        let begun = std::time::Instant::now();
        let words = [&["stop", "-t", "5", "nobody"][..], &names].concat();
        let ran = gorae.run(&words).await;
        assert!(begun.elapsed() < std::time::Duration::from_secs(15), "one after the other takes 20 s");
        assert_eq!((ran.code, ran.out.as_str()), (1, "c\na\nd\nb\n"));
        assert!(ran.err.contains("\"nobody\""), "{}", ran.err);
        gorae.ok(&[&["rm"][..], &names].concat()).await;
        gorae.leaves_nothing().await;
    });
}
