// SPDX-License-Identifier: Apache-2.0
//! Namespace options of pods and containers.

use gorae_proto::cri::*;
use gorae_tests::pod::namespaces;
use gorae_tests::{Container, Pod, on_a_node};

/// The pod's options, to be a container's.
fn options(pod: &Pod) -> NamespaceOption {
    namespaces(&mut pod.config().clone()).clone()
}

/// One of the namespaces of a container's processes.
async fn inside(container: &Container, kind: &str) -> String {
    container.exec(["readlink", &format!("/proc/self/ns/{kind}")]).await.stdout.trim().to_owned()
}

/// One of this process's.
fn here(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("this process has it").display().to_string()
}

#[test]
fn the_nodes_ipc_and_processes_are_seen_only_when_asked_for() {
    on_a_node(async |node| {
        let builder = node.pod("node").with(|c| {
            let options = namespaces(c);
            (options.ipc, options.pid) = (NamespaceMode::Node.into(), NamespaceMode::Node.into());
        });
        let pod = builder.run().await;
        let of_pod = pod.status().await.linux.and_then(|l| l.namespaces).and_then(|n| n.options).expect("told");
        assert_eq!((of_pod.ipc(), of_pod.pid()), (NamespaceMode::Node, NamespaceMode::Node));
        let same = options(&pod);
        let container =
            pod.container("c").script("sleep 1000").security(|s| s.namespace_options = Some(same)).start().await;
        assert_eq!((inside(&container, "ipc").await, inside(&container, "pid").await), (here("ipc"), here("pid")));
        let own = node.pod("own").run().await.container("c").script("sleep 1000").start().await;
        assert!(inside(&own, "ipc").await != here("ipc") && inside(&own, "pid").await != here("pid"));
    });
}

#[test]
fn a_container_joins_the_processes_of_its_target() {
    on_a_node(async |node| {
        let pod = node.pod("target").run().await;
        let target = pod.container("target").script("sleep 4711").start().await;
        let to =
            |id: &str| NamespaceOption { pid: NamespaceMode::Target.into(), target_id: id.to_owned(), ..options(&pod) };
        let with = to(target.id());
        let guest = pod.container("guest").script("sleep 1000").security(|s| s.namespace_options = Some(with));
        let guest = guest.start().await;
        let seen = guest.exec(["ps", "-o", "pid,args"]).await.stdout;
        assert!(seen.lines().any(|l| l.contains("4711") && l.trim().starts_with("1 ")), "{seen}");
        assert_eq!(inside(&guest, "pid").await, inside(&target, "pid").await);
        guest.stop(0).await;
        assert!(!target.exec(["ps"]).await.stdout.contains("sleep 1000"), "nothing of the guest is left");
        let other = node.pod("other").run().await;
        let with = to(target.id());
        let stranger = other.container("c").script("true").security(|s| s.namespace_options = Some(with));
        let stranger = stranger.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert!(stranger.message().contains("another pod"), "{stranger:?}");
        target.stop(0).await;
        let with = to(target.id());
        let late = pod.container("late").script("true").security(|s| s.namespace_options = Some(with));
        let late = late.try_create().await.map(|c| c.id().to_owned()).unwrap_err();
        assert!(late.message().contains("not running"), "{late:?}");
    });
}

#[test]
fn a_pods_user_namespace_has_the_asked_mapping() {
    on_a_node(async |node| {
        let map = |host_id, length| vec![IdMapping { host_id, container_id: 0, length }];
        let users = |uids: Vec<IdMapping>, gids: Vec<IdMapping>, mode: NamespaceMode| {
            Some(UserNamespace { mode: mode.into(), uids, gids })
        };
        let wrong = [
            users(map(100_000, 1000), map(200_000, 1000), NamespaceMode::Pod),
            users(map(100_000, 1000), Vec::new(), NamespaceMode::Pod),
            users(map(100_000, 0), map(100_000, 0), NamespaceMode::Pod),
            users(map(u32::MAX, 2), map(u32::MAX, 2), NamespaceMode::Pod),
            users(map(100_000, 1000), map(100_000, 1000), NamespaceMode::Node),
            users(map(100_000, 1000), map(100_000, 1000), NamespaceMode::Container),
            users(map(100_000, 1000), map(100_000, 1000), NamespaceMode::Target),
            users(
                vec![IdMapping { host_id: 100_000, container_id: 5, length: 10 }],
                vec![IdMapping { host_id: 100_000, container_id: 5, length: 10 }],
                NamespaceMode::Pod,
            ),
        ];
        for asked in wrong {
            let pod = node.pod("wrong").with(|c| namespaces(c).userns_options = asked.clone()).try_run().await;
            let error = pod.map(|p| p.id().to_owned()).unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument, "{asked:?}: {error:?}");
        }
        open_for_all(node);
        let asked = users(map(100_000, 1000), map(100_000, 1000), NamespaceMode::Pod);
        let pod = node.pod("users").with(|c| namespaces(c).userns_options = asked.clone()).run().await;
        let same = options(&pod);
        let container =
            pod.container("c").script("sleep 1000").security(|s| s.namespace_options = Some(same)).start().await;
        for file in ["uid_map", "gid_map"] {
            let text = container.exec(["cat", &format!("/proc/self/{file}")]).await.stdout;
            assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "1000"], "{file}");
        }
        let pid = container.info().await["pid"].as_u64().expect("a pid");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.lines().any(|l| l.starts_with("Uid:\t100000\t")), "{status}");
    });
}

fn users() -> Option<UserNamespace> {
    let map = vec![IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
    Some(UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map })
}

#[test]
fn a_volume_shows_its_owners_in_a_user_namespace() {
    on_a_node(async |node| {
        open_for_all(node);
        let host = node.directory("volume");
        std::fs::write(host.join("file"), "x").unwrap();
        std::os::unix::fs::chown(host.join("file"), Some(1001), Some(1002)).unwrap();
        let pod = node.pod("volume").with(|c| namespaces(c).userns_options = users()).run().await;
        let same = options(&pod);
        let map = vec![IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
        let mount = Mount {
            host_path: host.display().to_string(),
            container_path: "/data".into(),
            uid_mappings: map.clone(),
            gid_mappings: map,
            ..Default::default()
        };
        let container = pod
            .container("c")
            .script("sleep 1000")
            .with(|c| c.mounts.push(mount))
            .security(|s| s.namespace_options = Some(same))
            .start()
            .await;
        assert_eq!(container.sh("stat -c %u:%g /data/file; touch /data/new").await.stdout, "1001:1002\n");
        let made = std::fs::metadata(host.join("new")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0, "root inside is root of the volume");
        assert_eq!(
            container.sh("cat /etc/hostname; stat -c %u /etc/resolv.conf /dev/shm").await.stdout,
            "volume\n0\n0\n"
        );
    });
}

#[test]
fn a_user_namespace_goes_with_the_nodes_network() {
    on_a_node(async |node| {
        open_for_all(node);
        let builder = node.pod("both").host_network().with(|c| namespaces(c).userns_options = users());
        let pod = builder.run().await;
        let same = options(&pod);
        let container =
            pod.container("c").script("sleep 1000").security(|s| s.namespace_options = Some(same)).start().await;
        assert_eq!(inside(&container, "net").await, here("net"));
        assert_ne!(inside(&container, "user").await, here("user"));
        let map = container.exec(["cat", "/proc/self/uid_map"]).await.stdout;
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
        let sys = container.sh("ls /sys/class/net && touch /sys/kernel/x").await;
        assert!(sys.stdout.contains("lo") && sys.code != 0, "{sys:?}");
        let route = container.sh("ip link set lo mtu 1400").await;
        assert_ne!(route.code, 0, "the node's network is not its to change: {route:?}");
    });
}

/// The directories of a test are only its own user's; a mapped user has to reach the images' layers.
fn open_for_all(node: &gorae_tests::Node) {
    use std::os::unix::fs::PermissionsExt;
    let home = node.daemon().root().parent().expect("it is below the test's directory").to_owned();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755)).expect("our own directory");
}
