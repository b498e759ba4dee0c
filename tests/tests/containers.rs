// SPDX-License-Identifier: Apache-2.0
//! Containers: their life, their exit codes, and what they see of the machine.

use gorae_proto::cri::{
    Capability, ContainerFilter, ContainerState, ContainerStateValue, KeyValue, LinuxContainerResources, Mount, Signal,
    UpdateContainerResourcesRequest,
};
use gorae_tests::{Container, Node, Pod, TINY, on_a_node};
use std::time::{Duration, Instant};

async fn sleeper(pod: &Pod, name: &str) -> Container {
    pod.container(name).image(TINY).args(["sleep"]).start().await
}

async fn shell(node: &Node) -> Container {
    node.pod("shell").run().await.container("sh").script("sleep 10000").start().await
}

#[test]
fn a_container_goes_from_created_over_running_to_exited() {
    on_a_node(async |node| {
        let pod = node.pod("life").run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).create().await;
        let created = container.status().await;
        assert_eq!(created.state(), ContainerState::ContainerCreated);
        assert!(created.created_at > 0 && created.started_at == 0 && created.finished_at == 0);
        container.start().await;
        let running = container.status().await;
        assert_eq!(running.state(), ContainerState::ContainerRunning);
        assert!(running.started_at >= created.created_at && running.finished_at == 0);
        container.stop(10).await;
        let exited = container.status().await;
        assert_eq!(exited.state(), ContainerState::ContainerExited);
        assert_eq!((exited.exit_code, exited.reason.as_str()), (0, "Completed"));
        assert!(exited.finished_at >= exited.started_at);
        assert_eq!(exited.started_at, running.started_at);
    });
}

#[test]
fn exit_codes_and_signals_are_told_as_a_shell_tells_them() {
    on_a_node(async |node| {
        let pod = node.pod("codes").run().await;
        let table = [
            ("exit 0", 0, "Completed"),
            ("exit 3", 3, "Error"),
            ("exit 255", 255, "Error"),
            ("kill -9 $$", 137, "Error"),
        ];
        for (i, (script, code, reason)) in table.into_iter().enumerate() {
            // A shell as process 1 would not get its own signal: it sits below one.
            let script = format!("sh -c '{script}'; exit $?");
            let container = pod.container(&format!("c{i}")).script(&script).start().await;
            let status = container.ended().await;
            assert_eq!((status.exit_code, status.reason.as_str()), (code, reason), "{script}");
        }
    });
}

#[test]
fn a_process_that_ends_at_once_is_no_error_of_start() {
    on_a_node(async |node| {
        let pod = node.pod("quick").run().await;
        for i in 0..20 {
            let container = pod.container(&format!("c{i}")).image(TINY).args(["exit", "7"]).start().await;
            assert_eq!(container.ended().await.exit_code, 7);
        }
    });
}

#[test]
fn the_command_is_made_of_entry_point_command_and_arguments() {
    on_a_node(async |node| {
        let pod = node.pod("words").run().await;
        let image_only = pod.container("image").image(TINY).start().await;
        assert_eq!(image_only.exec(["/tiny", "cat", "/proc/1/cmdline"]).await.stdout, "/tiny\0sleep\0");
        let args = pod.container("args").image(TINY).args(["echo", "a b", ""]).start().await;
        args.ended().await;
        assert_eq!(args.stdout(), ["a b "]);
        let command = pod.container("command").image(TINY).command(["/tiny", "echo", "own"]).start().await;
        command.ended().await;
        assert_eq!(command.stdout(), ["own"]);
        let both = pod.container("both").image(TINY).command(["/tiny"]).args(["echo", "both"]).start().await;
        both.ended().await;
        assert_eq!(both.stdout(), ["both"]);
    });
}

#[test]
fn the_environment_is_the_images_changed_by_the_configuration() {
    on_a_node(async |node| {
        let pod = node.pod("env").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .env("GREETING", "hello = world")
            .env("PATH", "/bin:/extra")
            .with(|c| c.envs.push(KeyValue { key: "BYTES".into(), value: vec![0xff, b'x'] }))
            .start()
            .await;
        let out =
            container.sh("echo $GREETING; echo $PATH; printf %s \"$BYTES\" | hexdump -C | head -n 1").await.stdout;
        assert!(out.starts_with("hello = world\n/bin:/extra\n") && out.contains("ff 78"), "{out}");
        assert_eq!(container.sh("tr '\\0' '\\n' < /proc/1/environ | grep -c '^PATH='").await.stdout, "1\n");
        let shown = container.info().await["config"]["envs"].clone();
        assert_eq!(
            shown[0],
            serde_json::json!({"key": "GREETING", "value": "hello = world"}),
            "text, as in the CRI's JSON"
        );
        assert_eq!(shown[2], serde_json::json!({"key": "BYTES", "value": "\u{fffd}x"}));
    });
}

#[test]
fn the_working_directory_is_made_when_the_image_has_none() {
    on_a_node(async |node| {
        let pod = node.pod("cwd").run().await;
        let default = pod.container("default").script("pwd").start().await;
        default.ended().await;
        assert_eq!(default.stdout(), ["/"]);
        let made = pod.container("made").script("pwd").with(|c| c.working_dir = "/new/place".into()).start().await;
        made.ended().await;
        assert_eq!(made.stdout(), ["/new/place"]);
    });
}

#[test]
fn users_and_groups_are_those_asked_for() {
    on_a_node(async |node| {
        let pod = node.pod("users").run().await;
        let by_id = pod
            .container("id")
            .script("id -u; id -g; id -G; sleep 1000")
            .security(|s| {
                s.run_as_user = Some(gorae_proto::cri::Int64Value { value: 1001 });
                s.run_as_group = Some(gorae_proto::cri::Int64Value { value: 1002 });
                s.supplemental_groups = vec![2000, 3000];
            })
            .start()
            .await;
        by_id.has_printed(|line| line.contains("3000")).await;
        let groups: Vec<_> = by_id.stdout()[2].split(' ').map(str::to_owned).collect();
        assert_eq!(by_id.stdout()[..2], ["1001", "1002"]);
        assert!(["1002", "2000", "3000"].iter().all(|g| groups.contains(&(*g).to_owned())), "{groups:?}");
        assert_eq!(by_id.sh("id -u; id -g").await.stdout, "1001\n1002\n");
        let by_name = pod.container("name").script("id -un").security(|s| s.run_as_username = "www-data".into());
        let by_name = by_name.start().await;
        by_name.ended().await;
        assert_eq!(by_name.stdout(), ["www-data"]);
    });
}

/// The effective capabilities of a container's first process.
async fn effective(container: &Container) -> u64 {
    let line = container.sh("grep CapEff /proc/1/status").await.stdout;
    u64::from_str_radix(line.trim_start_matches("CapEff:").trim(), 16).expect("the kernel prints hexadecimal")
}

#[test]
fn capabilities_are_the_default_ones_changed_as_asked() {
    const CHOWN: u64 = 1 << 0;
    const NET_ADMIN: u64 = 1 << 12;
    const SYS_ADMIN: u64 = 1 << 21;
    on_a_node(async |node| {
        let pod = node.pod("caps").run().await;
        let plain = pod.container("plain").script("sleep 1000").start().await;
        let bits = effective(&plain).await;
        assert!(bits & CHOWN != 0 && bits & NET_ADMIN == 0 && bits & SYS_ADMIN == 0, "{bits:#x}");
        let dropped = pod
            .container("dropped")
            .script("sleep 1000")
            .security(|s| {
                let drop_capabilities = vec!["ALL".into()];
                s.capabilities = Some(Capability { drop_capabilities, ..Default::default() });
            })
            .start()
            .await;
        assert_eq!(effective(&dropped).await, 0);
        let added = pod
            .container("added")
            .script("sleep 1000")
            .security(|s| {
                let (add_capabilities, drop_capabilities) = (vec!["NET_ADMIN".into()], vec!["CHOWN".into()]);
                s.capabilities = Some(Capability { add_capabilities, drop_capabilities, ..Default::default() });
            })
            .start()
            .await;
        let bits = effective(&added).await;
        assert!(bits & CHOWN == 0 && bits & NET_ADMIN != 0, "{bits:#x}");
    });
}

#[test]
fn the_root_can_be_read_only() {
    on_a_node(async |node| {
        let pod = node.pod("readonly").run().await;
        let container = pod.container("c").script("sleep 1000").security(|s| s.readonly_rootfs = true).start().await;
        let out = container.sh("touch /etc/new").await;
        assert!(out.code != 0 && out.stderr.contains("Read-only"), "{out:?}");
        assert_eq!(container.sh("touch /dev/shm/new").await.code, 0);
    });
}

#[test]
fn what_one_container_writes_no_other_sees() {
    on_a_node(async |node| {
        let pod = node.pod("layers").run().await;
        let a = pod.container("a").script("sleep 1000").start().await;
        let b = pod.container("b").script("sleep 1000").start().await;
        assert_eq!(a.sh("echo changed > /etc/passwd; rm /etc/group").await.code, 0);
        assert!(b.exec(["cat", "/etc/passwd"]).await.stdout.starts_with("root:"));
        assert_eq!(b.exec(["test", "-e", "/etc/group"]).await.code, 0);
    });
}

#[test]
fn a_sub_path_of_an_image_means_nothing_beside_a_host_path() {
    on_a_node(async |node| {
        let part = node.directory("part");
        std::fs::write(part.join("file"), "text").unwrap();
        // As kubelet 1.36 sends a volume's subPath.
        let container = node.pod("sub-path").run().await.container("c").script("cat /part/file").mount(&part, "/part");
        let container = container.with(|c| c.mounts[0].image_sub_path = "part".into()).start().await;
        container.ended().await;
        assert_eq!(container.stdout(), ["text"]);
    });
}

#[test]
fn directories_and_files_of_the_host_are_mounted_and_echoed() {
    on_a_node(async |node| {
        let host = node.directory("shared");
        std::fs::write(host.join("file"), "from the host\n").unwrap();
        let pod = node.pod("mounts").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .mount(&host, "/data")
            .readonly_mount(&host, "/fixed")
            .mount(&host.join("file"), "/etc/one-file")
            .start()
            .await;
        assert_eq!(container.exec(["cat", "/data/file"]).await.stdout, "from the host\n");
        assert_eq!(container.exec(["cat", "/etc/one-file"]).await.stdout, "from the host\n");
        assert_eq!(container.sh("echo back > /data/answer").await.code, 0);
        assert_eq!(std::fs::read_to_string(host.join("answer")).unwrap(), "back\n");
        assert_ne!(container.sh("touch /fixed/x").await.code, 0);
        let echoed: Vec<_> =
            container.status().await.mounts.into_iter().map(|m| (m.container_path, m.readonly)).collect();
        assert_eq!(
            echoed,
            [("/data".to_owned(), false), ("/fixed".to_owned(), true), ("/etc/one-file".to_owned(), false)]
        );
    });
}

#[test]
fn the_status_has_the_mounts_that_were_asked_for_in_that_order_and_no_others() {
    on_a_node(async |node| {
        let host = node.directory("deep");
        std::fs::write(host.join("message"), "").unwrap();
        std::os::unix::fs::symlink("message", host.join("link")).unwrap();
        let mount = |host_path: &str, container_path: &str, readonly| Mount {
            host_path: host.join(host_path).display().to_string(),
            container_path: container_path.into(),
            readonly,
            ..Default::default()
        };
        // The deepest first: they are mounted in another order.
        let asked = vec![
            mount("", "/a/b/c", true),
            mount("link", "/dev/termination-log", false),
            mount("", "/a", false),
            mount("message", "/etc/hosts", false),
        ];
        let pod = node.pod("mounts").run().await;
        let container =
            pod.container("c").image(TINY).args(["sleep"]).with(|c| c.mounts = asked.clone()).create().await;
        assert_eq!(container.status().await.mounts, asked);
        container.start().await;
        assert_eq!(container.status().await.mounts, asked);
        container.stop(0).await;
        assert_eq!(container.status().await.mounts, asked);
    });
}

#[test]
fn the_usual_devices_are_there_and_the_disks_are_not() {
    on_a_node(async |node| {
        let container = shell(node).await;
        for device in
            ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "stdin", "stdout", "fd"]
        {
            assert_eq!(container.exec(["test", "-e", &format!("/dev/{device}")]).await.code, 0, "/dev/{device}");
        }
        assert_eq!(container.sh("ls /dev | grep -cE '^(vd|sd|nvme|loop)'").await.stdout, "0\n");
        assert_eq!(container.sh("echo x > /dev/null && head -c 2 /dev/zero | wc -c").await.stdout, "2\n");
        let made = container.sh("mknod /tmp/disk b 254 0 && cat /tmp/disk").await;
        assert_ne!(made.code, 0, "a device of the host can be made and read: {made:?}");
    });
}

#[test]
fn the_kernels_secrets_are_masked_and_its_knobs_read_only() {
    on_a_node(async |node| {
        let pod = node.pod("masked").run().await;
        let container = pod
            .container("c")
            .script("sleep 1000")
            .security(|s| {
                s.masked_paths = vec!["/proc/kcore".into(), "/proc/timer_list".into(), "/not/there".into()];
                s.readonly_paths = vec!["/proc/sys".into(), "/proc/bus".into()];
            })
            .start()
            .await;
        assert_eq!(container.sh("cat /proc/kcore | wc -c").await.stdout, "0\n");
        let write = container.sh("echo 1 > /proc/sys/vm/drop_caches").await;
        assert_ne!(write.code, 0);
        let sys = container.sh("touch /sys/kernel/x; echo 1 > /sys/kernel/profiling").await;
        assert_ne!(sys.code, 0);
    });
}

#[test]
fn too_much_memory_ends_the_container_with_the_reason() {
    on_a_node(async |node| {
        let pod = node.pod("oom").run().await;
        let container = pod.container("c").image(TINY).args(["eat", "200"]).memory_limit(32 << 20).start().await;
        let status = container.ended().await;
        assert_eq!((status.exit_code, status.reason.as_str()), (137, "OOMKilled"));
    });
}

#[test]
fn limits_stand_in_the_containers_cgroup() {
    on_a_node(async |node| {
        let pod = node.pod("limits").run().await;
        let container = pod
            .container("c")
            .image(TINY)
            .args(["sleep"])
            .memory_limit(64 << 20)
            .resources(|r| {
                r.cpu_period = 100_000;
                r.cpu_quota = 50_000;
                r.cpu_shares = 512;
            })
            .start()
            .await;
        let pid = container.info().await["pid"].as_u64().expect("info has the process id");
        let value = |v1: &str, controller: &str, v2: &str| {
            let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
            let group = |name: &str| groups.lines().find_map(|l| l.split_once(name).map(|(_, path)| path.to_owned()));
            let path = match group(&format!(":{controller}:")) {
                Some(path) => format!("/sys/fs/cgroup/{controller}{path}/{v1}"),
                None => format!("/sys/fs/cgroup{}/{v2}", group("0::").expect("a process is in a cgroup")),
            };
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
        };
        assert_eq!(value("memory.limit_in_bytes", "memory", "memory.max"), (64 << 20).to_string());
        let quota = value("cpu.cfs_quota_us", "cpu", "cpu.max");
        assert!(quota == "50000" || quota == "50000 100000", "{quota}");
        let reported = container.status().await.resources.and_then(|r| r.linux).expect("status has the resources");
        assert_eq!((reported.cpu_shares, reported.cpu_quota, reported.memory_limit_in_bytes), (512, 50_000, 64 << 20));
    });
}

#[test]
fn stopping_asks_first_and_kills_after_the_grace_period() {
    on_a_node(async |node| {
        let pod = node.pod("stop").run().await;
        let polite = sleeper(&pod, "polite").await;
        let begun = Instant::now();
        polite.stop(20).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "a polite process needs no grace");
        assert_eq!(polite.status().await.exit_code, 0);
        let stubborn = pod.container("stubborn").image(TINY).args(["stubborn"]).start().await;
        let begun = Instant::now();
        stubborn.stop(1).await;
        assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(stubborn.status().await.exit_code, 137);
        let at_once = pod.container("at-once").image(TINY).args(["stubborn"]).start().await;
        let begun = Instant::now();
        at_once.stop(0).await;
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(at_once.status().await.exit_code, 137);
    });
}

#[test]
fn the_stop_signal_is_the_one_asked_for() {
    on_a_node(async |node| {
        let pod = node.pod("signal").run().await;
        let script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done";
        let container =
            pod.container("c").script(script).with(|c| c.stop_signal = Signal::Sigusr1.into()).start().await;
        container.has_printed(|line| line == "ready").await;
        container.stop(10).await;
        assert_eq!(container.status().await.exit_code, 42);
        assert_eq!(container.status().await.stop_signal(), Signal::Sigusr1);
    });
}

#[test]
fn stopping_is_fine_for_what_does_not_run() {
    on_a_node(async |node| {
        let pod = node.pod("still").run().await;
        let created = pod.container("created").image(TINY).args(["sleep"]).create().await;
        created.stop(0).await;
        let container = sleeper(&pod, "twice").await;
        container.stop(5).await;
        container.stop(5).await;
        container.remove().await;
        container.stop(0).await;
        container.remove().await;
    });
}

#[test]
fn a_later_stop_with_less_grace_shortens_the_first() {
    on_a_node(async |node| {
        let pod = node.pod("hurry").run().await;
        let stubborn = pod.container("c").image(TINY).args(["stubborn"]).start().await;
        let patient = stubborn.clone();
        let first = tokio::spawn(async move { patient.stop(60).await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        stubborn.stop(1).await;
        first.await.expect("the first stop ends too");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    });
}

#[test]
fn two_stops_at_once_signal_once() {
    on_a_node(async |node| {
        let pod = node.pod("stops").run().await;
        let script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done";
        let container = pod.container("c").script(script).start().await;
        container.has_printed(|line| line == "ready").await;
        tokio::join!(container.stop(2), container.stop(2), container.stop(20));
        assert_eq!(container.status().await.exit_code, 137);
        assert_eq!(container.stdout(), ["ready", "asked"]);
    });
}

#[test]
fn a_stop_goes_on_when_its_client_has_gone() {
    on_a_node(async |node| {
        let pod = node.pod("gone").run().await;
        let script = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done";
        let container = pod.container("c").script(script).start().await;
        container.has_printed(|line| line == "ready").await;
        let stopping = container.clone();
        let stop = tokio::spawn(async move { stopping.try_stop(4).await });
        container.has_printed(|line| line == "asked").await;
        stop.abort();
        assert!(stop.await.is_err_and(|e| e.is_cancelled()), "its client has gone in the grace period");
        assert_eq!(container.ended().await.exit_code, 137);
        assert_eq!(container.stdout(), ["ready", "asked"]);
    });
}

#[test]
fn no_child_survives_its_container() {
    on_a_node(async |node| {
        let pod = node.pod("family").run().await;
        let script = "for i in 1 2 3 4 5; do setsid sh -c 'trap \"\" TERM; sleep 7654' & done; sleep 7654";
        let container = pod.container("c").script(script).start().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        container.stop(0).await;
        let out = std::process::Command::new("pgrep").args(["-f", "sleep 7654"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "");
    });
}

#[test]
fn removing_a_running_container_kills_it_and_leaves_its_log() {
    on_a_node(async |node| {
        let pod = node.pod("remove").run().await;
        let container = pod.container("c").script("echo said; sleep 1000").start().await;
        container.has_printed(|line| line == "said").await;
        container.remove().await;
        assert_eq!(container.try_status().await.unwrap_err().code(), tonic::Code::NotFound);
        assert_eq!(container.stdout(), ["said"]);
    });
}

#[test]
fn a_created_container_can_be_removed_and_its_name_used_again() {
    on_a_node(async |node| {
        let pod = node.pod("name").run().await;
        let first = pod.container("c").image(TINY).create().await;
        first.remove().await;
        let second = pod.container("c").image(TINY).start().await;
        assert_ne!(first.id(), second.id());
    });
}

#[test]
fn asking_for_the_same_container_again_gives_the_same_container() {
    on_a_node(async |node| {
        let pod = node.pod("same").run().await;
        let first = pod.container("c").image(TINY).create().await;
        let second = pod.container("c").image(TINY).create().await;
        assert_eq!(first.id(), second.id());
        let next =
            pod.container("c").image(TINY).with(|c| c.metadata.as_mut().expect("set").attempt = 1).create().await;
        assert_ne!(first.id(), next.id());
    });
}

#[test]
fn asking_for_the_same_container_with_another_configuration_is_no_repeat() {
    on_a_node(async |node| {
        let pod = node.pod("same").run().await;
        let builder = || pod.container("c").image(TINY).env("A", "1").env("B", "secret").memory_limit(64 << 20);
        let first = builder().create().await;
        let other_order = builder().with(|c| c.envs.reverse()).create().await;
        assert_eq!(other_order.id(), first.id(), "kubelet writes variables in any order");
        let limits = UpdateContainerResourcesRequest {
            container_id: first.id().to_owned(),
            linux: Some(LinuxContainerResources { memory_limit_in_bytes: 96 << 20, ..Default::default() }),
            ..Default::default()
        };
        node.cri().runtime().update_container_resources(limits).await.unwrap();
        for _ in 0..2 {
            assert_eq!(builder().create().await.id(), first.id(), "its limits are as they were asked for");
            for (builder, field) in [
                (builder().env("B", "other"), "envs differs"),
                (builder().memory_limit(96 << 20), "linux.resources.memory_limit_in_bytes differs"),
                (builder().args(["exit", "3"]), "args differs"),
                (builder().label("a/b", "secret"), "labels[\"a/b\"] differs"),
                (builder().with(|c| c.working_dir = "/tmp".into()), "working_dir differs"),
            ] {
                let status = builder.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
                assert_eq!(status.code(), tonic::Code::AlreadyExists, "{status:?}");
                assert!(status.message().contains(field) && !status.message().contains("secret"), "{status:?}");
            }
            node.kill_and_restart().await;
        }
        assert_eq!(node.cri().list_containers(None).await.unwrap().len(), 1);
    });
}

#[test]
fn containers_are_listed_by_pod_label_state_and_id() {
    on_a_node(async |node| {
        let (one, two) = (node.pod("one").run().await, node.pod("two").run().await);
        let a = one.container("a").image(TINY).label("role", "main").start().await;
        let b = one.container("b").image(TINY).label("role", "side").create().await;
        let c = two.container("c").image(TINY).label("role", "main").start().await;
        let list = async |filter: ContainerFilter| {
            let found = node.cri().list_containers(Some(filter)).await.unwrap();
            let mut ids: Vec<_> = found.into_iter().map(|c| c.id).collect();
            ids.sort();
            ids
        };
        let sorted = |containers: &[&Container]| {
            let mut ids: Vec<_> = containers.iter().map(|c| c.id().to_owned()).collect();
            ids.sort();
            ids
        };
        let filter = ContainerFilter::default;
        assert_eq!(list(ContainerFilter { pod_sandbox_id: one.id().into(), ..filter() }).await, sorted(&[&a, &b]));
        let labels = [("role".to_owned(), "main".to_owned())].into();
        assert_eq!(list(ContainerFilter { label_selector: labels, ..filter() }).await, sorted(&[&a, &c]));
        let created = ContainerStateValue { state: ContainerState::ContainerCreated.into() };
        assert_eq!(list(ContainerFilter { state: Some(created), ..filter() }).await, sorted(&[&b]));
        assert_eq!(list(ContainerFilter { id: c.id()[..13].into(), ..filter() }).await, sorted(&[&c]));
        assert_eq!(list(filter()).await.len(), 3);
    });
}

#[test]
fn a_containers_image_is_named_the_same_everywhere() {
    on_a_node(async |node| {
        let id = node.cri().pull(TINY).await.unwrap();
        let pod = node.pod("image").run().await;
        let container = pod.container("c").image(&id).start().await;
        let status = container.status().await;
        let listed = node.cri().list_containers(None).await.unwrap().remove(0);
        assert_eq!((status.image_id.as_str(), listed.image_id.as_str()), (id.as_str(), id.as_str()));
        assert_eq!(node.cri().image(TINY).await.unwrap().unwrap().id, id);
        assert!(!status.image_ref.is_empty());
        assert!(status.log_path.starts_with('/') && status.log_path.ends_with("c.log"));
    });
}
