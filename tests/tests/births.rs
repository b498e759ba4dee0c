// SPDX-License-Identifier: Apache-2.0
//! Programs that start where others may trace: what a container with CAP_SYS_PTRACE finds in them, from their first
//! instant on, is theirs.

use gorae_proto::cri::*;
use gorae_tests::images::programs::SPY;
use gorae_tests::pod::namespaces;
use gorae_tests::{Container, ContainerBuilder, Node, Pod, on_a_node};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const STARTS: usize = 12;
const EXECS: usize = 60;
/// Whom all programs but the spy run as.
const USER: i64 = 1000;

/// A pod whose containers share their processes by `mode`, and a spy in it that looks at all of them.
struct Watched {
    pod: Pod,
    options: NamespaceOption,
    spy: Container,
    /// A file of the node's root.
    secret: PathBuf,
}

fn user_namespace() -> UserNamespace {
    let map = vec![IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
    UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map }
}

impl Watched {
    async fn begin(node: &Node, mode: NamespaceMode, own_users: bool) -> Watched {
        let name = format!("{}-{own_users}", mode.as_str_name().to_lowercase());
        let pod = if mode == NamespaceMode::Pod { node.pod(&name).shared_processes() } else { node.pod(&name) };
        let pod = pod.with(|c| namespaces(c).userns_options = own_users.then(user_namespace)).run().await;
        let options = namespaces(&mut pod.config().clone()).clone();
        let secret = node.directory(&format!("secret-{name}")).join("file");
        std::fs::write(&secret, "the node's\n").expect("our own directory");
        let spy = spy(node, &pod, &options, &secret.display().to_string()).await;
        let target = (mode == NamespaceMode::Target).then(|| spy.id().to_owned());
        let options = NamespaceOption { pid: mode.into(), target_id: target.unwrap_or_default(), ..options };
        Watched { pod, options, spy, secret }
    }

    /// Somebody else, with nothing that the spy may find.
    fn victim(&self, name: &str) -> ContainerBuilder {
        let profile = security_profile::ProfileType::RuntimeDefault.into();
        let drop_all = Capability { drop_capabilities: vec!["ALL".to_owned()], ..Default::default() };
        self.pod.container(name).security(|s| {
            s.namespace_options = Some(self.options.clone());
            s.run_as_user = Some(Int64Value { value: USER });
            s.capabilities = Some(drop_all);
            s.seccomp = Some(SecurityProfile { profile_type: profile, ..Default::default() });
        })
    }

    async fn end(self, after: &str) {
        self.spy.stop(30).await;
        assert_eq!(self.spy.stdout(), ["watching", "watched"], "after {after} in {}", self.pod.id());
        assert_eq!(std::fs::read_to_string(&self.secret).expect("ours"), "the node's\n");
        // Its directory is not there for the next one.
        self.pod.stop().await;
    }
}

/// Starts the spy, which is root and may trace.
async fn spy(node: &Node, pod: &Pod, options: &NamespaceOption, secret: &str) -> Container {
    let tools = node.directory("spy");
    let program = tools.join("spy");
    if !program.exists() {
        std::fs::write(&program, SPY.compile().expect("gcc is there")).expect("our own directory");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("our own file");
    }
    let of_node = ["mnt", "net", "ipc", "uts", "cgroup"].map(|kind| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("this process has it");
        link.display().to_string()
    });
    let words = ["/spy/spy", secret].into_iter().chain(of_node.iter().map(String::as_str));
    let spy = pod.container("spy").command(words).readonly_mount(&tools, "/spy").security(|s| {
        s.namespace_options = Some(options.clone());
        let add_capabilities = vec!["SYS_PTRACE".to_owned()];
        s.capabilities = Some(Capability { add_capabilities, ..Default::default() });
    });
    let spy = spy.start().await;
    spy.has_printed(|line| line == "watching").await;
    spy
}

/// The way to a user namespace's own files.
fn open_for_all(node: &Node) {
    let home = node.daemon().root().parent().expect("it is below the test's directory").to_owned();
    std::fs::set_permissions(home, PermissionsExt::from_mode(0o755)).expect("our own directory");
}

async fn starts_and_execs(watched: &Watched) {
    for number in 0..STARTS {
        let tty = number % 4 == 3;
        let victim = watched.victim(&format!("start-{number}")).script("exit 7").with(|c| c.tty = tty);
        let victim = victim.security(|s| s.no_new_privs = number % 2 == 0).start().await;
        assert_eq!(victim.ended().await.exit_code, 7);
        victim.remove().await;
    }
    let victim = watched.victim("execs").script("sleep 4711").start().await;
    for _ in 0..EXECS {
        assert_eq!(victim.sh("echo $PPID; exit 5").await.code, 5);
    }
    let seen = victim.exec(["ps", "-o", "args"]).await.stdout;
    assert!(seen.contains("sleep 4711") && seen.contains("/spy/spy"), "{seen}");
    assert!(!seen.contains("gorae-shim") && !seen.contains("setup-pod"), "{seen}");
    if watched.options.pid() == NamespaceMode::Pod {
        let init = victim.sh("cat /proc/1/comm; tr '\\0' '\\n' </proc/1/cmdline | grep .").await;
        assert_eq!(init.stdout, "gorae-pod-init\ngorae-pod-init\n");
    }
    victim.stop(0).await;
}

#[test]
fn nothing_of_the_node_is_seen_in_what_starts_in_a_pods_shared_processes() {
    on_a_node(async |node| {
        open_for_all(node);
        for own_users in [false, true] {
            let watched = Watched::begin(node, NamespaceMode::Pod, own_users).await;
            starts_and_execs(&watched).await;
            watched.end("starts and execs").await;
        }
    });
}

#[test]
fn nothing_of_the_node_is_seen_in_what_starts_among_the_processes_of_a_target() {
    on_a_node(async |node| {
        open_for_all(node);
        for own_users in [false, true] {
            let watched = Watched::begin(node, NamespaceMode::Target, own_users).await;
            starts_and_execs(&watched).await;
            watched.end("starts and execs").await;
        }
    });
}

#[test]
fn nothing_of_the_node_is_seen_in_what_a_container_itself_executes() {
    on_a_node(async |node| {
        let watched = Watched::begin(node, NamespaceMode::Container, false).await;
        // As root, which the spy is: what counts are capabilities that the container has not.
        for _ in 0..EXECS {
            assert_eq!(watched.spy.sh("exit 5").await.code, 5);
        }
        watched.spy.stop(30).await;
        let found = watched.spy.stdout();
        let of_node =
            |line: &&String| !["user", "permitted", "effective", "filter"].iter().any(|kind| line.starts_with(kind));
        let of_node: Vec<_> = found.iter().filter(of_node).filter(|line| line.contains(" of ")).collect();
        assert!(of_node.is_empty() && found.last().is_some_and(|line| line == "watched"), "{found:?}");
    });
}

#[test]
fn a_hook_of_the_node_runs_out_of_sight_of_a_pods_shared_processes() {
    on_a_node(async |node| {
        let hook = |point: &str| {
            let args = ["sh", "-c", "read -r state; sleep 0.2"];
            serde_json::json!({"hookName": point, "path": "/bin/sh", "args": args})
        };
        let spec = serde_json::json!({
            "cdiVersion": "1.1.0",
            "kind": "example.com/gadget",
            "devices": [{"name": "one", "containerEdits": {"hooks": [hook("createRuntime"), hook("createContainer")]}}],
        });
        let directory = &node.daemon().cdi_directories()[0];
        std::fs::create_dir_all(directory).expect("our own directory");
        std::fs::write(directory.join("gadget.json"), spec.to_string()).expect("our own directory");
        let watched = Watched::begin(node, NamespaceMode::Pod, false).await;
        let ask = CdiDevice { name: "example.com/gadget=one".to_owned() };
        let victim = watched.victim("hooked").script("exit 7").with(|c| c.cdi_devices.push(ask)).start().await;
        assert_eq!(victim.ended().await.exit_code, 7);
        watched.end("hooks").await;
    });
}
