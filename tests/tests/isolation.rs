// SPDX-License-Identifier: Apache-2.0
//! What must not be reached: the node's own files from a container, and a container's files from elsewhere.

use gorae_proto::cri::{Capability, NamespaceMode, NamespaceOption};
use gorae_tests::testing::{on_a_node_with, soon};
use gorae_tests::{Container, Node, Pod, TINY, on_a_node, place};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A user id that has no name on the node.
const NOBODY: u32 = 65_534;

/// What the shim of a container was started from.
async fn binary_of(container: &Container) -> PathBuf {
    let init = container.info().await["pid"].as_i64().expect("a running container has a pid");
    let shim = place::parent_of(u32::try_from(init).expect("a process id"));
    PathBuf::from(format!("/proc/{shim}/exe"))
}

fn inode(path: &Path) -> (u64, u64) {
    let meta = std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (meta.dev(), meta.ino())
}

#[test]
fn a_container_that_gets_at_a_shims_binary_cannot_change_it() {
    on_a_node(async |node| {
        let nodes = NamespaceOption { pid: NamespaceMode::Node.into(), ..Default::default() };
        let pod = node.pod("binary").run().await;
        // All that it takes to look at the shim: the node's processes, and the right to trace them.
        let container = pod.container("c").script("sleep 1000").security(|s| {
            s.namespace_options = Some(nodes);
            let add_capabilities = vec!["SYS_PTRACE".to_owned()];
            s.capabilities = Some(Capability { add_capabilities, ..Default::default() });
        });
        let container = container.start().await;
        let (exe, binary) = (binary_of(&container).await, place::binary("gorae-shim"));
        assert_eq!(inode(&exe), inode(&binary), "it is the node's own file");
        // The mode that it has: nothing is broken where this is allowed.
        let mode = std::fs::metadata(&binary).expect("it is there").mode() & 0o7777;
        let tried = container.sh(&format!("chmod {mode:o} {0}; chown 0 {0}", exe.display())).await;
        assert_eq!(tried.stderr.matches("Read-only file system").count(), 2, "{tried:?}");
        let comm = std::fs::read_to_string(exe.with_file_name("comm")).expect("it runs");
        let line = std::fs::read_to_string(exe.with_file_name("cmdline")).expect("it runs");
        assert_eq!((comm.as_str(), line.split('\0').next()), ("gorae-shim\n", binary.to_str()), "what ps shows");
        // A process that has it open can wait until no shim runs: only that prevents writing to other files.
        let held = std::fs::File::open(&exe).expect("it runs");
        container.stop(0).await;
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let written = soon("no shim runs", async || match OpenOptions::new().append(true).open(&again) {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => None,
            other => Some(other.map(drop)),
        });
        assert_eq!(written.await.expect_err("refused").kind(), ErrorKind::ReadOnlyFilesystem);
    });
}

#[test]
fn what_the_daemon_was_started_with_by_mistake_reaches_no_shim() {
    use rustix::fs::{Mode, OFlags};
    let mistake = tempfile::tempdir().expect("a fresh directory");
    // Not closed on exec: what a careless parent hands on.
    let _open = rustix::fs::open(mistake.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("ours");
    on_a_node(async |node| {
        let container = node.pod("strays").run().await.container("c").script("sleep 1000").start().await;
        let exe = binary_of(&container).await;
        let shim = exe.parent().expect("a directory of a process");
        let number = shim.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let daemon = PathBuf::from(format!("/proc/{}", place::parent_of(number.expect("a process id"))));
        for process in [shim, &daemon] {
            let list =
                std::fs::read_dir(process.join("fd")).expect("it runs").map(|entry| entry.expect("a list").path());
            let open: Vec<PathBuf> = list.filter_map(|path| std::fs::read_link(path).ok()).collect();
            assert!(open.len() > 3 && !open.iter().any(|path| path == mistake.path()), "{process:?}: {open:?}");
        }
    });
}

#[test]
fn a_new_shim_in_place_of_the_old_one_counts_from_the_daemons_next_start() {
    let dir = tempfile::tempdir().expect("a fresh directory");
    let path = dir.path().join("shim");
    let replace = |content: &Path| {
        let new = dir.path().join("new");
        std::fs::copy(content, &new).and_then(|_| std::fs::rename(&new, &path)).expect("a copy of its own");
    };
    replace(&place::binary("gorae-shim"));
    on_a_node_with(&format!("shim = {path:?}\n"), async |node| {
        let pod = node.pod("upgrade").run().await;
        replace(Path::new("/bin/false"));
        let old = pod.container("old").image(TINY).args(["sleep"]).start().await;
        replace(&place::binary("gorae-shim"));
        node.kill_and_restart().await;
        let new = pod.container("new").image(TINY).args(["sleep"]).start().await;
        assert_eq!(inode(&binary_of(&new).await), inode(&path));
        assert_ne!(inode(&binary_of(&old).await), inode(&path));
        old.stop(0).await;
    });
}

/// Which of these paths `nobody` may read, write or go through: lines `r PATH`, `w PATH`, `x PATH`.
fn open_to_nobody(paths: &[u8]) -> Vec<String> {
    let script = r#"while read -r p; do for m in r w x; do [ ! -L "$p" ] && [ -$m "$p" ] && echo "$m $p"; done; done"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).uid(NOBODY).gid(NOBODY).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().expect("sh runs");
    let mut input = shell.stdin.take().expect("piped");
    let paths = paths.to_owned();
    let writer = std::thread::spawn(move || input.write_all(&paths));
    let output = shell.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all paths are read");
    String::from_utf8(output.stdout).expect("our names are text").lines().map(str::to_owned).collect()
}

#[test]
fn other_users_of_the_node_reach_nothing_of_its_pods_and_containers() {
    on_a_node(async |node| {
        let (root, state) = (node.daemon().root(), node.daemon().state());
        let home = root.parent().expect("it is below the test's directory");
        std::fs::set_permissions(home, PermissionsExt::from_mode(0o711)).expect("our own directory");
        let pod = node.pod("walls").run().await;
        let script =
            "cp /bin/busybox /powers && chmod 4755 /powers && echo x >/dev/shm/shared && echo made; sleep 1000";
        let container = pod.container("c").script(script).start().await;
        container.has_printed(|line| line == "made").await;
        let found = Command::new("find").args([&root, &state]).output().expect("find runs").stdout;
        let text = String::from_utf8_lossy(&found);
        assert!(text.contains("/upper/powers") && text.contains("/shm/shared"), "{text}");
        let open = open_to_nobody(&found);
        let run = state.join("containers");
        // The way to the socket, and the one that hooks go in a user namespace: through, and nothing to see.
        let ways = [&root, &state, &run, &run.join(container.id())].map(|path| format!("x {}", path.display()));
        assert_eq!(open, ways);
    });
}

async fn next(node: &Node, pod: &Pod, old: &Container) -> Result<Container, tonic::Status> {
    assert!(node.is_own(), "the annotation is ours");
    let next = pod.container("c").script("cat /secret").with(|c| {
        c.metadata.as_mut().expect("set").attempt = 1;
        c.annotations.insert("dev.gorae.continue".to_owned(), old.id().to_owned());
    });
    next.try_create().await
}

#[test]
fn only_the_same_pod_goes_on_with_a_containers_files() {
    on_a_node(async |node| {
        let pod = node.pod("mine").run().await;
        let old = pod.container("c").script("echo words >/secret").start().await;
        old.ended().await;
        let other = node.pod("theirs").run().await;
        let refused = next(node, &other, &old).await.map(|c| c.id().to_owned()).expect_err("another pod's");
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert!(refused.message().contains("tests/mine"), "{refused:?}");
        let new = next(node, &pod, &old).await.expect("its own");
        new.start().await;
        new.ended().await;
        assert_eq!(new.stdout(), ["words"]);
    });
}
