// SPDX-License-Identifier: Apache-2.0
//! The `config.json` of a container, which hooks and verbose statuses get, under other runtimes: Debian's crun and runc
//! make of it what Gorae makes of the request.
//!
//! A program in the container tells what it sees. Then the same configuration is given to the other runtimes, with the
//! image's files as a plain directory, and what the program sees there is compared line by line. [`DIFFERENCES`] lists
//! what differs, each with its reason; a line that differs and is not listed fails, and so does one that is listed and
//! does not differ.

use gorae_proto::cri::{self, Capability, Int64Value, NamespaceMode, SecurityProfile, SupplementalGroupsPolicy};
use gorae_seccomp::capabilities;
use gorae_tests::container::ContainerBuilder;
use gorae_tests::pod::namespaces;
use gorae_tests::{Container, Node, Pod, on_a_node};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The other runtimes.
const RUNTIMES: [&str; 2] = ["crun", "runc"];

/// Prints a line `WHAT = VALUE` for everything that a configuration can change. The cgroup of the unified hierarchy is left
/// out, for there is none where crun runs.
const PROBE: &str = r#"
say() { echo "$1 = $2"; }
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/self/status | sed 's/[[:space:]]\+/ /g; s/ $//; s/: / = /; s/:$/ = /'
tail -n +2 /proc/self/limits | sed 's/   */|/g; s/^/limit /; s/|/ = /'
env | grep -v '^_=' | sed 's/^/env /; s/=/ = /'
say cwd "$(pwd)"
say umask "$(umask)"
say hostname "$(hostname)"
say oom_score_adj "$(cat /proc/self/oom_score_adj)"
for kind in net ipc uts; do say "namespace $kind" "$(readlink /proc/self/ns/$kind)"; done
say 'first process' $$
say cgroup "$(grep -v ^0: /proc/self/cgroup | sed 's/^[0-9]*://' | sort | tr '\n' ' ')"
for file in net/core/somaxconn net/ipv4/ip_unprivileged_port_start kernel/shmmni; do
    say "sysctl $file" "$(cat /proc/sys/$file)"
done
for node in $(find /dev -type c -o -type b -o -type p -o -type l | sort); do
    if [ -L $node ]; then say "node $node" "$(readlink $node)"; else say "node $node" "$(stat -c '%F %t:%T %a %u:%g' $node)"; fi
done
for path in /proc/kcore /proc/keys /proc/timer_list; do
    if [ -n "$(head -c 1 $path | tr '\0' 0)" ]; then say "masked $path" "has content"; else say "masked $path" "is empty"; fi
done
for path in /sys/firmware; do say "masked $path" "$(ls -a $path | tr '\n' ' ')"; done
for path in /proc/sys/kernel/shmmni /proc/sysrq-trigger /x /data/x /data/below/x /dev/shm/x /dev/x; do
    if (echo 7 >$path) 2>/dev/null; then say "write $path" done; else say "write $path" refused; fi
done
for node in /dev/gadget /dev/kept; do
    if head -c 1 $node >/dev/null 2>&1; then say "read $node" done; else say "read $node" refused; fi
    if (echo >$node) 2>/dev/null; then say "write $node" done; else say "write $node" refused; fi
done
say 'owner of /etc/hosts' "$(stat -c '%u:%g' /etc/hosts)"
say mknod "$(mknod /dev/shm/node c 1 3 2>&1 && head -c 1 /dev/shm/node 2>&1; rm -f /dev/shm/node)"
say mount "$(mount -t tmpfs tmpfs /tmp 2>&1)"
say unshare "$(unshare -n true 2>&1)"
say chroot "$(chroot / true 2>&1)"
for file in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus; do
    say "limit $file" "$(cat /sys/fs/cgroup/$file 2>/dev/null)"
done
awk '{
    propagation = "private"; at = 7
    while ($at != "-") { split($at, tag, ":"); propagation = tag[1]; at++ }
    kind = $(at + 1); super = $(at + 3)
    if (kind != "tmpfs" && kind != "devpts") super = ""
    seen[$5] = seen[$5] " [" kind " " $6 " " propagation " " super "]"
} END { for (place in seen) print "mounted " place " =" seen[place] }' /proc/self/mountinfo
"#;

/// Lines that another runtime makes different.
struct Difference {
    runtimes: &'static [&'static str],
    /// What they are about; with a `*` at its end, all that begin like that.
    what: &'static str,
    why: &'static str,
}

impl Difference {
    fn is_met(&self, runtime: &str, what: &str) -> bool {
        let same = self.what.strip_suffix('*').map_or(self.what == what, |beginning| what.starts_with(beginning));
        same && self.runtimes.contains(&runtime)
    }
}

/// What another runtime does in its own way, with the same configuration.
const DIFFERENCES: &[Difference] = &[
    Difference { runtimes: &RUNTIMES, what: "mounted /", why: "a bundle's root is a directory, not layers" },
    Difference { runtimes: &RUNTIMES, what: "mounted /proc/keys", why: "they mask with other mounts of a null device" },
    Difference { runtimes: &RUNTIMES, what: "mounted /proc/timer_list", why: "as /proc/keys" },
    Difference { runtimes: &RUNTIMES, what: "mounted /sys/firmware", why: "they mask with another tmpfs" },
    Difference {
        runtimes: &RUNTIMES,
        what: "mounted /sys/fs/cgroup",
        why: "they leave the tmpfs that holds the hierarchies writable; the hierarchies are read-only as asked",
    },
    Difference {
        runtimes: &["crun"],
        what: "mounted /proc/sys",
        why: "crun 1.8 does not keep the flags of /proc there",
    },
    Difference { runtimes: &["crun"], what: "node /dev/core", why: "crun makes this link as well" },
    Difference { runtimes: &["crun"], what: "env HOME", why: "crun 1.8 sets none for a user without a name" },
];

/// The same for a container of a pod with a user namespace.
const IN_A_USER_NAMESPACE: &[Difference] = &[
    Difference { runtimes: &["crun"], what: "mounted /", why: "a bundle's root is a directory, not layers" },
    Difference { runtimes: &["crun"], what: "mounted /proc/*", why: "crun 1.8 masks and protects with fewer flags" },
    Difference {
        runtimes: &["crun"],
        what: "mounted /sys/f*",
        why: "as /proc, and the tmpfs of the hierarchies is writable",
    },
    Difference {
        runtimes: &["crun"],
        what: "mounted /dev/*",
        why: "crun makes no nodes there: it mounts the node's own",
    },
    Difference { runtimes: &["crun"], what: "node /dev/*", why: "these belong to the node's root" },
];

/// A pod with settings of its own.
async fn pod(node: &Node) -> Pod {
    let pod = node.pod("oci").with(|config| {
        let sysctls = &mut config.linux.get_or_insert_default().sysctls;
        sysctls.insert("net.core.somaxconn".into(), "77".into());
        sysctls.insert("kernel.shmmni".into(), "1234".into());
        // One of its containers is privileged.
        config.linux.get_or_insert_default().security_context.get_or_insert_default().privileged = true;
    });
    pod.run().await
}

/// What kubelet asks for in each container.
fn usual(security: &mut cri::LinuxContainerSecurityContext) {
    let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
    security.seccomp = Some(SecurityProfile::default());
    security.masked_paths = paths(&["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/no"]);
    security.readonly_paths = paths(&["/proc/sys", "/proc/sysrq-trigger", "/no"]);
}

fn device(path: &str, inside: &str, permissions: &str) -> cri::Device {
    cri::Device { host_path: path.into(), container_path: inside.into(), permissions: permissions.into() }
}

/// What the program printed, by what it is about.
fn lines<'a>(printed: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let pairs = printed.into_iter().filter_map(|line| line.split_once(" =")).map(|(what, value)| (what, value.trim()));
    pairs.map(|(what, value)| (what.to_owned(), value.to_owned())).collect()
}

/// The image's files in a directory.
fn unpack(layers: &Value, root: &Path) {
    std::fs::create_dir(root).expect("a fresh directory");
    for layer in layers.as_array().expect("layers").iter().rev() {
        let layer = format!("{}/.", layer.as_str().expect("a path"));
        let copied = Command::new("cp").args(["-a", &layer]).arg(root).status().expect("cp runs");
        assert!(copied.success(), "copy {layer}");
    }
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).expect("it is ours");
}

/// Runs what follows where no cgroup v2 stands beside the v1 hierarchies: crun refuses a machine with both.
const WITHOUT_UNIFIED: &str =
    "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; exec \"$@\"";

/// Runs a configuration under another runtime, and returns what the program printed.
fn run(runtime: &str, bundle: &Path, state: &Path) -> BTreeMap<String, String> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", WITHOUT_UNIFIED, "sh", runtime]);
    command.arg("--root").arg(state.join(runtime)).args(["run", "--bundle"]).arg(bundle).arg("the-same");
    // Not the node's null device: a runtime gives what it gets to the user of the process.
    command.stdin(Stdio::piped());
    let done = command.output().unwrap_or_else(|e| panic!("{runtime}, which `make setup-images` installs: {e}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{runtime}: {}\n{err}\n{out}", done.status);
    lines(out.lines())
}

/// Takes out the capabilities that this machine does not have: crun and runc refuse them, Gorae leaves them out.
fn without_what_nobody_holds(mut config: Value) -> Value {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let held = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).expect("a set");
    let held = u64::from_str_radix(held.trim(), 16).expect("a number");
    let is_held = |name: &Value| {
        let bit = name.as_str().and_then(capabilities::bit).expect("a capability");
        held & (1 << bit) != 0
    };
    for set in config["process"]["capabilities"].as_object_mut().expect("sets").values_mut() {
        set.as_array_mut().expect("names").retain(is_held);
    }
    config
}

/// A line that differs: the runtime, what it is about, and how.
type Found = (&'static str, String, String);

/// Compares what the program in a container saw with what it sees under the other runtimes.
async fn differences(node: &Node, container: &Container, runtimes: &'static [&'static str]) -> Vec<Found> {
    assert_eq!(container.ended().await.exit_code, 0, "{:?}", container.log_records());
    let printed = container.stdout();
    let here = lines(printed.iter().map(String::as_str));
    assert!(here.len() > 90, "{here:#?}");
    let info = container.info().await;
    let bundle: PathBuf = node.directory(&format!("bundle-{}", &container.id()[..12]));
    let config = without_what_nobody_holds(info["runtimeSpec"].clone());
    std::fs::write(bundle.join("config.json"), config.to_string()).expect("it is ours");
    let root = bundle.join("rootfs");
    unpack(&info["layers"], &root);
    if let Some(owner) = config.pointer("/linux/uidMappings/0/hostID") {
        let chowned = Command::new("chown").args(["-R", &format!("{owner}:{owner}")]).arg(&root).status();
        assert!(chowned.expect("chown runs").success());
    }
    let mut found = Vec::new();
    for &runtime in runtimes {
        let there = run(runtime, &bundle, &node.directory("runtimes"));
        let keys: BTreeSet<_> = here.keys().chain(there.keys()).collect();
        let differing = keys.into_iter().filter(|what| here.get(*what) != there.get(*what));
        let told = |what: &String| format!("here {:?}, there {:?}", here.get(what), there.get(what));
        found.extend(differing.map(|what| (runtime, what.clone(), told(what))));
    }
    found
}

/// Panics for a line that differs and is not listed, and for one that is listed and does not differ.
fn assert_listed(found: &[Found], listed: &[Difference]) {
    let unlisted = found.iter().filter(|(runtime, what, _)| !listed.iter().any(|known| known.is_met(runtime, what)));
    let unlisted: Vec<_> = unlisted.map(|(runtime, what, how)| format!("{runtime}: {what}: {how}")).collect();
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
    for known in listed {
        let same =
            |runtime: &&&str| !found.iter().any(|(other, what, _)| other == *runtime && known.is_met(runtime, what));
        let same: Vec<_> = known.runtimes.iter().filter(same).collect();
        assert!(same.is_empty(), "{:?} does not differ under {same:?} any more: {}", known.what, known.why);
    }
}

fn with_little(pod: &Pod) -> ContainerBuilder {
    pod.container("little").script(PROBE).env("A", "one two").security(usual)
}

fn with_everything(pod: &Pod, data: &Path) -> ContainerBuilder {
    let container = pod.container("everything").script(PROBE).mount(data, "/data").readonly_mount(data, "/data/below");
    let container = container.with(|config| {
        config.working_dir = "/made/for/it".into();
        config.devices = vec![device("/dev/zero", "/dev/gadget", "r"), device("/dev/null", "/dev/kept", "rwm")];
        config.annotations.insert("note".into(), "a \"quoted\" one".into());
    });
    let container = container.security(usual).security(|security| {
        security.run_as_user = Some(Int64Value { value: 1000 });
        security.run_as_group = Some(Int64Value { value: 1001 });
        security.supplemental_groups = vec![1002, 1003];
        security.supplemental_groups_policy = SupplementalGroupsPolicy::Strict.into();
        security.no_new_privs = true;
        security.readonly_rootfs = true;
        security.capabilities = Some(Capability {
            add_capabilities: vec!["NET_ADMIN".into()],
            drop_capabilities: vec!["MKNOD".into()],
            add_ambient_capabilities: vec!["NET_BIND_SERVICE".into()],
        });
    });
    container.resources(|limits| {
        limits.memory_limit_in_bytes = 64 << 20;
        limits.cpu_shares = 102;
        limits.cpu_period = 50_000;
        limits.cpu_quota = 25_000;
        limits.cpuset_cpus = "0".into();
        limits.oom_score_adj = 500;
    })
}

#[test]
fn the_same_configuration_makes_the_same_container_under_crun_and_runc() {
    on_a_node(async |node| {
        let pod = pod(node).await;
        let data = node.directory("data");
        std::fs::set_permissions(&data, PermissionsExt::from_mode(0o777)).expect("it is ours");
        let mut found = Vec::new();
        for container in [with_little(&pod), with_everything(&pod, &data), privileged(&pod)] {
            found.extend(differences(node, &container.start().await, &RUNTIMES).await);
        }
        assert_listed(&found, DIFFERENCES);
    });
}

/// A container that may do everything.
fn privileged(pod: &Pod) -> ContainerBuilder {
    let container = pod.container("privileged").script(PROBE).security(usual);
    container.security(|security| security.privileged = true)
}

#[test]
fn the_same_configuration_makes_the_same_container_in_a_user_namespace_under_crun() {
    on_a_node(async |node| {
        let map = vec![cri::IdMapping { host_id: 100_000, container_id: 0, length: 65_536 }];
        let users = cri::UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map };
        let pod = node.pod("users").with(|config| namespaces(config).userns_options = Some(users)).run().await;
        // runc 1.1 knows no mounts with ids of their own.
        let found = differences(node, &with_little(&pod).start().await, &["crun"]).await;
        assert_listed(&found, IN_A_USER_NAMESPACE);
    });
}
