// SPDX-License-Identifier: Apache-2.0
//! Pods: their life, their attributes, and what their containers share.

use gorae_proto::cri::{
    ContainerState, ListPodSandboxRequest, PodSandboxFilter, PodSandboxState, PodSandboxStateValue,
    PodSandboxStatusRequest,
};
use gorae_tests::leaks::Snapshot;
use gorae_tests::pod::PodBuilder;
use gorae_tests::pod::namespaces;
use gorae_tests::{Cri, Node, TINY, on_a_node};
use std::path::{Path, PathBuf};
use tonic::Code;

async fn listed(cri: &Cri, filter: PodSandboxFilter) -> Vec<String> {
    let request = ListPodSandboxRequest { filter: Some(filter) };
    let pods = cri.runtime().list_pod_sandbox(request).await.expect("pods can be listed").into_inner();
    pods.items.into_iter().map(|p| p.id).collect()
}

fn by_state(state: PodSandboxState) -> PodSandboxFilter {
    PodSandboxFilter { state: Some(PodSandboxStateValue { state: state.into() }), ..Default::default() }
}

#[test]
fn a_pod_is_ready_when_run_returns_and_not_ready_when_stopped() {
    on_a_node(async |node| {
        let pod = node.pod("a").run().await;
        let status = pod.status().await;
        assert_eq!(status.state(), PodSandboxState::SandboxReady);
        assert!(status.created_at > 0);
        pod.stop().await;
        assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready);
        pod.remove().await;
        assert_eq!(pod.try_status().await.unwrap_err().code(), tonic::Code::NotFound);
        assert!(node.cri().list_pods().await.unwrap().is_empty());
    });
}

#[test]
fn a_pod_keeps_what_it_was_asked_for() {
    on_a_node(async |node| {
        let builder = node.pod("kept").label("app", "web").with(|c| {
            c.annotations.insert("note".into(), "line 1\nline 2".into());
            c.metadata.as_mut().expect("the builder sets it").attempt = 7;
        });
        let pod = builder.run().await;
        let status = pod.status().await;
        let metadata = status.metadata.clone().unwrap();
        assert_eq!((metadata.name.as_str(), metadata.namespace.as_str(), metadata.attempt), ("kept", "tests", 7));
        assert_eq!(status.labels, pod.config().labels);
        assert_eq!(status.annotations, pod.config().annotations);
        let listed = node.cri().list_pods().await.unwrap().remove(0);
        assert_eq!(listed.id, pod.id());
        assert_eq!((listed.metadata, listed.labels), (status.metadata.clone(), status.labels.clone()));
        assert_eq!((listed.annotations, listed.created_at), (status.annotations.clone(), status.created_at));
        let options = status.linux.unwrap().namespaces.unwrap().options;
        let asked = pod.config().linux.clone().and_then(|l| l.security_context).and_then(|s| s.namespace_options);
        assert!(asked.is_some() && options == asked, "kubelet makes a pod again whose options are others: {options:?}");
    });
}

#[test]
fn asking_for_the_same_pod_again_gives_the_same_pod() {
    on_a_node(async |node| {
        let first = node.pod("once").run().await;
        let second = node.pod("once").run().await;
        assert_eq!(first.id(), second.id());
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
    });
}

#[test]
fn asking_for_the_same_pod_with_another_configuration_is_no_repeat() {
    on_a_node(async |node| {
        let annotated = |seen: &str| {
            let seen = ("kubernetes.io/config.seen".to_owned(), seen.to_owned());
            node.pod("once").with(|c| c.annotations.extend([seen, ("note".to_owned(), "secret".to_owned())]))
        };
        let first = annotated("2026-01-01").run().await;
        assert_eq!(annotated("2026-01-02").run().await.id(), first.id(), "kubelet was restarted");
        let refused = async |builder: PodBuilder| {
            let status = builder.try_run().await.map(|pod| pod.id().to_owned()).unwrap_err();
            assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
            assert!(!status.message().contains("secret"), "{status:?}");
            status.message().to_owned()
        };
        for (builder, field) in [
            (annotated("").with(|c| c.hostname = "secret".into()), "hostname differs"),
            (annotated("").with(|c| drop(c.annotations.insert("note".into(), "other".into()))), "annotations"),
            (annotated("").port(12_440, 80), "port_mappings differs"),
            (annotated("").handler("gorae"), "runtime_handler differs"),
        ] {
            let said = refused(builder).await;
            assert!(said.contains(field), "{said}");
        }
        // Also while the first one is in flight.
        let (a, b) =
            tokio::join!(node.pod("race").try_run(), node.pod("race").with(|c| c.hostname = "other".into()).try_run());
        let codes = [a, b].map(|run| run.map(|pod| pod.id().to_owned()).map_err(|status| status.code()));
        assert_eq!(codes.iter().filter(|run| **run == Err(Code::AlreadyExists)).count(), 1, "{codes:?}");
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 2);
    });
}

#[test]
fn two_calls_at_once_for_one_pod_make_one_pod() {
    on_a_node(async |node| {
        let (a, b, c) = tokio::join!(node.pod("race").run(), node.pod("race").run(), node.pod("race").run());
        assert!(a.id() == b.id() && b.id() == c.id());
        assert_eq!(node.cri().list_pods().await.unwrap().len(), 1);
    });
}

#[test]
fn the_next_attempt_of_a_pod_is_another_pod() {
    on_a_node(async |node| {
        let first = node.pod("retry").run().await;
        first.stop().await;
        let next = node.pod("retry").with(|c| c.metadata.as_mut().expect("set").attempt = 1).run().await;
        assert_ne!(first.id(), next.id());
        assert!(next.status().await.created_at > first.status().await.created_at);
    });
}

#[test]
fn each_attempt_of_a_pod_is_younger_than_the_one_before() {
    on_a_node(async |node| {
        let (mut last, mut ids) = (0, Vec::new());
        for attempt in 0..6 {
            let pod = node.pod("retry").with(|c| c.metadata.as_mut().expect("set").attempt = attempt).run().await;
            let status = pod.status().await;
            assert!(status.created_at > last, "attempt {attempt}");
            last = status.created_at;
            ids.push(pod.id().to_owned());
            if attempt == 3 {
                node.kill_and_restart().await;
            }
        }
        let mut listed = node.cri().list_pods().await.unwrap();
        listed.sort_by_key(|p| p.created_at);
        assert_eq!(listed.into_iter().map(|p| p.id).collect::<Vec<_>>(), ids, "a list tells the same times");
    });
}

#[test]
fn stopping_and_removing_may_be_repeated() {
    on_a_node(async |node| {
        let pod = node.pod("again").run().await;
        pod.stop().await;
        pod.stop().await;
        pod.remove().await;
        pod.remove().await;
        pod.stop().await;
    });
}

/// Removes what a pod has in the state directory, like an administrator cleaning a node by hand.
fn remove_by_hand(run_dir: &Path) {
    for line in std::fs::read_to_string("/proc/self/mounts").expect("it is read").lines().rev() {
        let place = line.split(' ').nth(1).expect("a mount has a place");
        if Path::new(place).starts_with(run_dir) {
            nix::mount::umount2(place, nix::mount::MntFlags::MNT_DETACH).expect("unmounted");
        }
    }
    std::fs::remove_dir_all(run_dir).expect("the directory is removed");
}

#[test]
fn a_pod_that_somebody_took_apart_by_hand_is_stopped_and_removed_all_the_same() {
    on_a_node(async |node| {
        for (name, shared, restarted) in [
            ("own", false, false),
            ("shared", true, false),
            ("own-restarted", false, true),
            ("all-restarted", true, true),
        ] {
            let pod = if shared { node.pod(name).shared_processes() } else { node.pod(name) };
            let pod = pod.port(12_440, 80).run().await;
            let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
            remove_by_hand(&node.daemon().state().join("pods").join(pod.id()));
            if restarted {
                node.kill_and_restart().await;
            }
            pod.stop().await;
            assert_eq!(pod.status().await.state(), PodSandboxState::SandboxNotready);
            assert_eq!(container.status().await.state(), ContainerState::ContainerExited);
            pod.stop().await;
            pod.remove().await;
        }
    });
}

#[test]
fn removing_a_running_pod_takes_its_containers_along() {
    on_a_node(async |node| {
        let pod = node.pod("whole").run().await;
        let running = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let created = pod.container("d").image(TINY).args(["sleep"]).create().await;
        pod.remove().await;
        for container in [running, created] {
            assert_eq!(container.try_status().await.unwrap_err().code(), tonic::Code::NotFound);
        }
        assert!(node.cri().list_containers(None).await.unwrap().is_empty());
    });
}

#[test]
fn a_pod_without_containers_has_no_process_and_no_mount_namespace_of_ours() {
    on_a_node(async |node| {
        let before = Snapshot::take(&[]);
        let _pod = node.pod("empty").run().await;
        let mut after = Snapshot::take(&[]).count("process");
        for _ in 0..100 {
            if after == before.count("process") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            after = Snapshot::take(&[]).count("process");
        }
        assert_eq!(after, before.count("process"));
    });
}

#[test]
fn containers_of_a_pod_share_its_host_name_and_its_shared_memory() {
    on_a_node(async |node| {
        let pod = node.pod("together").with(|c| c.hostname = "my-host".into()).run().await;
        let a = pod.container("a").script("sleep 1000").start().await;
        let b = pod.container("b").script("sleep 1000").start().await;
        assert_eq!(a.exec(["hostname"]).await.stdout, "my-host\n");
        assert_eq!(b.exec(["hostname"]).await.stdout, "my-host\n");
        assert_eq!(a.sh("echo here > /dev/shm/note").await.code, 0);
        assert_eq!(b.exec(["cat", "/dev/shm/note"]).await.stdout, "here\n");
    });
}

#[test]
fn pods_do_not_share_memory_or_processes() {
    on_a_node(async |node| {
        let a = node.pod("a").run().await.container("c").script("sleep 1234").start().await;
        let b = node.pod("b").run().await.container("c").script("sleep 4321").start().await;
        assert_eq!(a.sh("echo here > /dev/shm/note").await.code, 0);
        assert_ne!(b.exec(["cat", "/dev/shm/note"]).await.code, 0);
        assert!(!b.exec(["ps"]).await.stdout.contains("1234"));
    });
}

#[test]
fn a_shared_process_namespace_has_an_init_that_is_no_container() {
    on_a_node(async |node| {
        let pod = node.pod("shared").shared_processes().run().await;
        let shared = |s: &mut gorae_proto::cri::LinuxContainerSecurityContext| {
            let mut config = pod.config().clone();
            s.namespace_options = Some(namespaces(&mut config).clone());
        };
        let a = pod.container("a").script("sleep 1111").security(shared).start().await;
        let b = pod.container("b").script("sleep 2222").security(shared).start().await;
        let seen = b.exec(["ps", "-o", "pid,args"]).await.stdout;
        assert!(seen.contains("sleep 1111") && seen.contains("sleep 2222"), "{seen}");
        let first = a.exec(["cat", "/proc/1/cmdline"]).await.stdout;
        assert!(!first.contains("sleep"), "process 1 is {first:?}");
        a.stop(0).await;
        assert_eq!(b.exec(["echo", "alive"]).await.stdout, "alive\n");
        let seen = b.exec(["ps", "-o", "pid,args"]).await.stdout;
        assert!(!seen.contains("sleep 1111"), "{seen}");
    });
}

#[test]
fn a_pod_in_the_hosts_network_has_no_address_of_its_own() {
    on_a_node(async |node| {
        let pod = node.pod("host").host_network().run().await;
        assert_eq!(pod.status().await.network.unwrap_or_default().ip, "");
        let container = pod
            .container("c")
            .script("sleep 1000")
            .security(|s| s.namespace_options = Some(namespaces(&mut pod.config().clone()).clone()))
            .start()
            .await;
        let inside = container.exec(["readlink", "/proc/self/ns/net"]).await.stdout;
        let here = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(inside.trim(), here.to_str().unwrap());
    });
}

#[test]
fn a_pod_in_the_hosts_network_has_the_nodes_name_or_the_one_that_it_asks_for() {
    on_a_node(async |node| {
        let here = nix::unistd::gethostname().unwrap().to_string_lossy().into_owned();
        for (asked, name) in [("", here.as_str()), ("own-name", "own-name")] {
            let pod = node.pod(&format!("host{asked}")).host_network().with(|c| c.hostname = asked.into()).run().await;
            let options = namespaces(&mut pod.config().clone()).clone();
            let container = pod.container("c").script("sleep 1000");
            let container = container.security(|s| s.namespace_options = Some(options)).start().await;
            node.kill_and_restart().await;
            let told = container.sh("hostname; cat /etc/hostname; echo $HOSTNAME").await.stdout;
            assert_eq!(told, format!("{name}\n{name}\n{name}\n"));
        }
        assert_eq!(nix::unistd::gethostname().unwrap().to_string_lossy(), here, "the node keeps its own");
    });
}

#[test]
fn sysctls_of_the_pods_namespaces_are_set() {
    on_a_node(async |node| {
        let builder = node.pod("sysctls").with(|c| {
            let linux = c.linux.as_mut().expect("the builder sets it");
            linux.sysctls.insert("kernel.shm_rmid_forced".into(), "1".into());
            linux.sysctls.insert("net.ipv4.ip_local_port_range".into(), "20000 20100".into());
        });
        let container = builder.run().await.container("c").script("sleep 1000").start().await;
        assert_eq!(container.exec(["cat", "/proc/sys/kernel/shm_rmid_forced"]).await.stdout, "1\n");
        let range = container.exec(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).await.stdout;
        assert_eq!(range.split_whitespace().collect::<Vec<_>>(), ["20000", "20100"]);
    });
}

#[test]
fn a_sysctl_of_the_whole_machine_is_refused() {
    on_a_node(async |node| {
        for name in ["kernel.hostname", "vm.swappiness", "net.../../vm/swappiness", "kernel/../vm/swappiness"] {
            let builder = node.pod("machine").with(|c| {
                c.linux.as_mut().expect("set").sysctls.insert(name.into(), "1".into());
            });
            let refused = builder.try_run().await.map(|p| p.id().to_owned()).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{name}: {refused:?}");
        }
        assert!(node.cri().list_pods().await.unwrap().is_empty());
    });
}

async fn three_pods(node: &Node) -> [gorae_tests::Pod; 3] {
    let a = node.pod("a").label("tier", "web").label("zone", "1").run().await;
    let b = node.pod("b").label("tier", "web").label("zone", "2").run().await;
    let c = node.pod("c").label("tier", "db").label("zone", "1").run().await;
    c.stop().await;
    [a, b, c]
}

#[test]
fn pods_are_listed_by_label_state_and_id() {
    on_a_node(async |node| {
        let [a, b, c] = three_pods(node).await;
        let labels = |pairs: &[(&str, &str)]| PodSandboxFilter {
            label_selector: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Default::default()
        };
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let cri = node.cri();
        assert_eq!(
            sorted(listed(cri, labels(&[("tier", "web")])).await),
            sorted(vec![a.id().to_owned(), b.id().to_owned()])
        );
        assert_eq!(listed(cri, labels(&[("tier", "web"), ("zone", "2")])).await, [b.id()]);
        assert_eq!(listed(cri, by_state(PodSandboxState::SandboxNotready)).await, [c.id()]);
        // READY is 0: a filter that asks for it is still a filter.
        assert_eq!(listed(cri, by_state(PodSandboxState::SandboxReady)).await.len(), 2);
        let by_prefix = PodSandboxFilter { id: a.id()[..13].to_owned(), ..Default::default() };
        assert_eq!(listed(cri, by_prefix).await, [a.id()]);
        assert_eq!(listed(cri, PodSandboxFilter::default()).await.len(), 3);
    });
}

/// A group of a client's in every hierarchy; dropping it removes it, and fails when something is left in it.
struct ClientsGroup(&'static str);

impl ClientsGroup {
    fn make(path: &'static str) -> Self {
        let group = Self(path);
        group.places().for_each(|place| std::fs::create_dir_all(place).expect("the directory is made"));
        group
    }

    fn places(&self) -> impl Iterator<Item = PathBuf> {
        gorae_tests::leaks::hierarchies().into_iter().map(|hierarchy| hierarchy.join(self.0))
    }

    fn remove(self) {
        for place in self.places() {
            std::fs::remove_dir(&place).unwrap_or_else(|e| panic!("something is left in {}: {e}", place.display()));
            std::fs::remove_dir(place.parent().expect("it has a parent")).expect("the directory is removed");
        }
    }
}

#[test]
fn the_init_of_a_pod_in_a_clients_cgroup_goes_with_the_pod() {
    on_a_node(async |node| {
        let group = ClientsGroup::make("kube/pod1");
        let pod = node.pod("kube").shared_processes();
        let pod = pod.with(|c| c.linux.as_mut().expect("set").cgroup_parent = "/kube/pod1".into()).run().await;
        let container = pod.container("c").script("sleep 1000").start().await;
        assert!(container.sh("ps").await.stdout.contains(" 1 "), "they share an init");
        pod.stop().await;
        pod.remove().await;
        group.remove();
    });
}

#[test]
fn a_pod_that_cannot_be_made_leaves_the_rest_of_its_clients_cgroup_alone() {
    on_a_node(async |node| {
        let group = ClientsGroup::make("kube/other");
        let mut neighbour = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let joined =
            group.places().filter(|p| std::fs::write(p.join("cgroup.procs"), neighbour.id().to_string()).is_ok());
        assert!(joined.count() > 0);
        for shared in [false, true] {
            let pod = if shared { node.pod("bad").shared_processes() } else { node.pod("bad") };
            let error = pod.with(|c| {
                let linux = c.linux.as_mut().expect("set");
                linux.cgroup_parent = "/kube".into();
                linux.sysctls.insert("net.ipv4.no_such_thing".into(), "1".into());
            });
            let error = error.try_run().await.unwrap_err();
            assert!(error.message().contains("no_such_thing"), "{error:?}");
        }
        assert_eq!(neighbour.try_wait().unwrap(), None, "the neighbour lives");
        neighbour.kill().unwrap();
        neighbour.wait().unwrap();
        group.remove();
    });
}

#[test]
fn containers_stand_below_the_cgroup_that_was_asked_for_and_it_stays() {
    on_a_node(async |node| {
        let pod = node.pod("kube").with(|c| c.linux.as_mut().expect("set").cgroup_parent = "/kube/pod1".into());
        // What kubelet does before it asks for the pod.
        let group = ClientsGroup::make("kube/pod1");
        let pod = pod.run().await;
        let container = pod.container("c").image(TINY).args(["sleep"]).start().await;
        let pid = container.info().await["pid"].as_u64().expect("info has the process id");
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(groups.contains("/kube/pod1/"), "{groups}");
        pod.remove().await;
        group.remove();
    });
}

#[test]
fn the_status_of_a_pod_has_its_containers_the_newest_first() {
    on_a_node(async |node| {
        let pod = node.pod("attempts").run().await;
        let mut created = Vec::new();
        for attempt in 0..5 {
            let next = pod.container("c").image(TINY).with(|c| c.metadata.get_or_insert_default().attempt = attempt);
            created.push(next.create().await.id().to_owned());
        }
        let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id().to_owned(), verbose: false };
        let answer = node.cri().runtime().pod_sandbox_status(request).await.unwrap().into_inner();
        let listed: Vec<_> = answer.containers_statuses.into_iter().map(|c| c.id).collect();
        created.reverse();
        assert_eq!(listed, created);
    });
}
