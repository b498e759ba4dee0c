// SPDX-License-Identifier: Apache-2.0
//! What a container mounts stays in the container: over its cgroups as everywhere else. And what stands over a cgroup on
//! the node all the same leads nobody astray. Runs on the machine that builds and on the one with cgroup v2.

use gorae_proto::cri::*;
use gorae_tests::leaks::hierarchies;
use gorae_tests::pod::namespaces;
use gorae_tests::testing::soon;
use gorae_tests::{Container, Node, Pod, on_a_node, on_a_node_for};
use rustix::mount::{MountFlags, mount};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const MIB: i64 = 1 << 20;
/// Longest answer to a list.
const AT_ONCE: Duration = Duration::from_secs(20);
/// Files that lists of usage read.
const READ: &str = "memory.usage_in_bytes memory.current memory.stat memory.events cpu.stat cpuacct.usage pids.current \
    cgroup.procs cgroup.controllers";
/// Files that a change of limits writes.
const WRITTEN: &str = "memory.limit_in_bytes memory.memsw.limit_in_bytes memory.max cpu.shares cpu.weight cgroup.kill";

/// The identity of the container.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ordinary,
    Admin,
    UserNamespace,
    Privileged,
}

fn users() -> Option<UserNamespace> {
    let map = vec![IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
    Some(UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map })
}

async fn pod_of(node: &Node, kind: Kind) -> Pod {
    let pod = node.pod(&format!("{kind:?}").to_lowercase()).with(|c| match kind {
        Kind::UserNamespace => namespaces(c).userns_options = users(),
        Kind::Privileged => {
            let linux = c.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().privileged = true;
        }
        Kind::Ordinary | Kind::Admin => {}
    });
    pod.run().await
}

async fn container_of(pod: &Pod, kind: Kind) -> Container {
    let same = pod.config().linux.as_ref().and_then(|l| l.security_context.as_ref()?.namespace_options.clone());
    let container = pod.container("c").script("sleep 1000").memory_limit(64 * MIB).security(|s| match kind {
        Kind::Ordinary => {}
        Kind::Privileged => s.privileged = true,
        Kind::Admin | Kind::UserNamespace => {
            let add_capabilities = vec!["SYS_ADMIN".to_owned(), "MKNOD".to_owned()];
            s.capabilities = Some(Capability { add_capabilities, ..Default::default() });
            s.namespace_options = same;
        }
    });
    container.start().await
}

async fn pid(container: &Container) -> u64 {
    container.info().await["pid"].as_u64().expect("info has the process id")
}

/// The lines of a process's mount table, cut into words.
fn table(pid: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("it runs");
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// The tags of propagation in a mount's line.
fn tags(line: &[String]) -> Vec<&str> {
    line[6..].iter().take_while(|word| *word != "-").map(String::as_str).collect()
}

/// What the node has mounted, and where.
fn mounted() -> Vec<String> {
    table("self").iter().map(|line| line[4..].join(" ")).collect()
}

/// The container's directories in all hierarchies.
async fn groups(container: &Container) -> Vec<PathBuf> {
    let path = container.info().await["cgroup"].as_str().expect("info has the cgroup").to_owned();
    let groups: Vec<_> = hierarchies().into_iter().map(|h| h.join(path.trim_start_matches('/'))).collect();
    groups.into_iter().filter(|group| group.exists()).collect()
}

/// The container's limit, as the kernel has it.
fn limit(groups: &[PathBuf]) -> String {
    let files = groups.iter().flat_map(|g| ["memory.limit_in_bytes", "memory.max"].map(|file| g.join(file)));
    let text = files.filter_map(|file| std::fs::read_to_string(file).ok()).next();
    text.expect("it has a limit").trim().to_owned()
}

async fn resize(pod: &Pod, container: &Container, mib: i64) -> Result<(), tonic::Status> {
    let linux = LinuxContainerResources {
        memory_limit_in_bytes: mib * MIB,
        memory_swap_limit_in_bytes: mib * MIB,
        cpu_shares: 512,
        ..Default::default()
    };
    let container_id = container.id().to_owned();
    let request = UpdateContainerResourcesRequest { container_id, linux: Some(linux), ..Default::default() };
    pod.cri().runtime().update_container_resources(request).await.map(drop)
}

/// Every list of usage answers, and has the container.
async fn lists(node: &Node, container: &Container) {
    let rt = || node.cri().runtime();
    let lists = async {
        let stats = rt()
            .list_container_stats(ListContainerStatsRequest::default())
            .await
            .expect("an answer")
            .into_inner()
            .stats;
        let id = |s: &ContainerStats| s.attributes.as_ref().is_some_and(|a| a.id == container.id());
        let memory = stats.iter().find(|s| id(s)).and_then(|s| s.memory.as_ref()).and_then(|m| m.usage_bytes);
        assert!(memory.is_some_and(|bytes| bytes.value > 4096), "{stats:?}");
        let pods = ListPodSandboxStatsRequest::default();
        let pods = rt().list_pod_sandbox_stats(pods).await.expect("an answer").into_inner().stats;
        assert!(pods.iter().any(|p| p.linux.as_ref().is_some_and(|l| l.containers.iter().any(id))), "{pods:?}");
        let metrics =
            rt().list_pod_sandbox_metrics(ListPodSandboxMetricsRequest {}).await.expect("an answer").into_inner();
        let mut metrics = metrics.pod_metrics.iter().flat_map(|p| &p.container_metrics);
        let metrics = metrics.find(|c| c.container_id == container.id()).expect("it has metrics");
        assert!(
            metrics
                .metrics
                .iter()
                .any(|m| m.name == "container_processes" && m.value.expect("it has a value").value > 0)
        );
    };
    tokio::time::timeout(AT_ONCE, lists).await.expect("lists answer");
}

/// Mounts over each of its mount points, with links to a file of the node, and FIFOs without a writer. Prints the
/// places that took it.
fn hostile(points: &[String], victim: &Path) -> String {
    let victim = victim.display();
    format!(
        "touch /own; for p in {}; do \
            if [ -d $p ]; then mount -t tmpfs evil $p || continue; \
                for f in {READ}; do mkfifo $p/$f; done; for f in {WRITTEN}; do ln -s {victim} $p/$f; done; \
            else mount --bind /own $p || continue; fi; echo $p; \
        done 2>/dev/null",
        points.join(" ")
    )
}

#[test]
fn what_a_container_mounts_over_its_mounts_is_seen_by_nobody_else() {
    on_a_node_for(Duration::from_secs(280), async |node| {
        std::fs::set_permissions(node.daemon().root().parent().unwrap(), PermissionsExt::from_mode(0o711)).unwrap();
        let victim = node.directory("victim").join("file");
        std::fs::write(&victim, "untouched").unwrap();
        for kind in [Kind::Ordinary, Kind::Admin, Kind::UserNamespace, Kind::Privileged] {
            let pod = pod_of(node, kind).await;
            let container = container_of(&pod, kind).await;
            let inside = table(&pid(&container).await.to_string());
            for line in &inside {
                assert_eq!(tags(line), Vec::<&str>::new(), "{kind:?}: {line:?}");
            }
            let (before, groups) = (mounted(), groups(&container).await);
            // Below /proc last: mount(8) looks there.
            let mut points: Vec<String> = inside.iter().map(|line| line[4].clone()).filter(|p| p != "/").collect();
            points.sort_by_key(|point| (point.starts_with("/proc"), std::cmp::Reverse(point.len())));
            let took = container.sh(&hostile(&points, &victim)).await.stdout;
            let took: BTreeSet<&str> = took.lines().collect();
            let cgroups = points.iter().filter(|point| point.starts_with("/sys/fs/cgroup"));
            for point in cgroups {
                assert_eq!(took.contains(point.as_str()), kind != Kind::Ordinary, "{kind:?}: {point} of {took:?}");
            }
            assert_eq!(mounted(), before, "{kind:?}");
            lists(node, &container).await;
            resize(&pod, &container, 96).await.unwrap_or_else(|e| panic!("{kind:?}: {e:?}"));
            assert_eq!(limit(&groups), (96 * MIB).to_string(), "{kind:?}");
            node.kill_and_restart().await;
            lists(node, &container).await;
            container.stop(1).await;
            container.remove().await;
            pod.stop().await;
            pod.remove().await;
            assert!(groups.iter().all(|group| !group.exists()), "{kind:?}: {groups:?}");
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    });
}

/// What a container of an earlier version could do to the node: mounts over its cgroup, and over its pod's.
fn cover(group: &Path, victim: &Path) {
    mount("evil", group, "tmpfs", MountFlags::empty(), None).expect("tmpfs is mounted");
    for name in READ.split_whitespace() {
        let path = CString::new(group.join(name).as_os_str().as_encoded_bytes()).expect("no zero byte");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .expect("made");
    }
    for name in WRITTEN.split_whitespace() {
        symlink(victim, group.join(name)).expect("the link is made");
    }
}

#[test]
fn what_stands_over_a_cgroup_on_the_node_hinders_nothing_and_goes_with_it() {
    on_a_node(async |node| {
        let victim = node.directory("victim").join("file");
        std::fs::write(&victim, "untouched").unwrap();
        let pod = node.pod("covered").run().await;
        let container = container_of(&pod, Kind::Ordinary).await;
        let other = pod.container("other").script("sleep 1000").memory_limit(64 * MIB).start().await;
        let groups = groups(&container).await;
        let pods: Vec<PathBuf> = groups.iter().map(|group| group.parent().unwrap().to_owned()).collect();
        let open: Vec<_> = groups.iter().map(|group| std::fs::File::open(group).unwrap()).collect();
        let real: Vec<_> = open.iter().map(|dir| format!("/proc/self/fd/{}", dir.as_raw_fd()).into()).collect();
        groups.iter().chain(&pods).for_each(|group| cover(group, &victim));
        lists(node, &container).await;
        lists(node, &other).await;
        resize(&pod, &container, 96).await.unwrap();
        assert_eq!(limit(&real), (96 * MIB).to_string());
        assert_eq!(container.sh("echo alive").await.stdout, "alive\n");
        node.kill_and_restart().await;
        lists(node, &container).await;
        soon("the new daemon has the shim again", async || resize(&pod, &container, 80).await.ok()).await;
        assert_eq!(limit(&real), (80 * MIB).to_string());
        container.stop(1).await;
        container.remove().await;
        // Nothing is left of it for the shim to say: from outside, by the path.
        let shim = gorae_tests::place::parent_of(u32::try_from(pid(&other).await).unwrap());
        let shim = rustix::process::Pid::from_raw(i32::try_from(shim).unwrap()).unwrap();
        rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
        other.ended().await;
        pod.stop().await;
        pod.remove().await;
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(mounted().iter().all(|line| !line.contains("evil")), "{:?}", mounted());
        assert!(pods.iter().all(|group| !group.exists()), "{pods:?}");
    });
}
