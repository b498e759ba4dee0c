// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::sample;
use crate::sample::{everything, least};
use gorae_proto::shim::mount::Propagation as Wire;
use gorae_proto::shim::namespace::Kind;
use std::collections::BTreeSet;

fn layout() -> CgroupLayout {
    CgroupLayout { unified: "/sys/fs/cgroup/unified".into(), ..Default::default() }
}

fn written(order: Order<'_>) -> shim::Start {
    start(order, &layout()).expect("every order can be written")
}

#[test]
fn what_is_absent_is_what_the_wire_has_for_it() {
    let start = written(least());
    assert_eq!((start.log_path.as_str(), start.stdin, start.stdin_once, start.hooks), ("", false, false, None));
    assert_eq!(start.resources, Some(shim::Resources::default()));
    assert_eq!((start.user_mapping, start.private_cgroup_namespace), (None, false));
    let process = start.process.expect("a process");
    assert_eq!(process.user, Some(shim::User { user: "0".into(), ..Default::default() }));
    assert!(process.seccomp_filter.is_empty() && process.oom_score_adj.is_none() && process.rlimits.is_empty());
    assert_eq!((process.apparmor_profile.as_str(), process.selinux_label.as_str()), ("", ""));
    let own: Vec<_> = start.namespaces.iter().map(|n| (n.kind(), n.path.as_str())).collect();
    assert_eq!(own, [(Kind::Mount, "")], "all others are the node's");
}

#[test]
fn the_process_is_what_was_asked_for() {
    let process = written(everything()).process.expect("a process");
    assert_eq!(
        (&process.args[0][..], &process.env[1][..], process.cwd.as_str()),
        (&b"sh"[..], &b"B=\xff"[..], "/work")
    );
    let user =
        shim::User { user: "bob".into(), group: "7".into(), supplemental_gids: vec![20, 30], strict_groups: true };
    assert_eq!(process.user, Some(user));
    let sets = shim::Capabilities { bounding: 1025, effective: 1, permitted: 1, inheritable: 1024, ambient: 0 };
    assert_eq!(process.capabilities, Some(sets));
    let filter = gorae_seccomp::default_filter(1025);
    assert_eq!((&process.seccomp_filter[..], process.seccomp_flags), (&filter.program[..], filter.flags));
    assert_eq!(process.oom_score_adj, Some(shim::OomScoreAdj { value: -5 }));
    assert_eq!(process.rlimits, [shim::Rlimit { resource: 7, soft: 1024, hard: 4096 }]);
    assert!(process.tty && process.no_new_privs);
    assert_eq!((process.apparmor_profile.as_str(), process.selinux_label.as_str()), ("profile", "u:r:t:s0"));
}

#[test]
fn each_kind_of_mount_has_its_form() {
    let map = vec![shim::IdMap { container_id: 0, host_id: 100_000, length: 65_536 }];
    let new = |name: &str, data: &str| shim::Mount {
        filesystem: name.into(),
        source: name.into(),
        data: data.into(),
        ..Default::default()
    };
    let bind = |source: &str| shim::Mount {
        filesystem: "bind".into(),
        source: source.into(),
        recursive_bind: true,
        ..Default::default()
    };
    let image = |layers: &[&str], path: &str| shim::Mount {
        filesystem: "image".into(),
        image_layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
        source_layer_path: path.into(),
        readonly: true,
        ..Default::default()
    };
    let table = [
        ("/proc", shim::Mount { nosuid: true, nodev: true, noexec: true, ..new("proc", "") }),
        ("/dev", new("tmpfs", "mode=755,size=1k")),
        ("/dev/pts", new("devpts", "gid=5")),
        ("/dev/mqueue", new("mqueue", "")),
        ("/sys", shim::Mount { readonly: true, ..new("sysfs", "") }),
        ("/sys/fs/cgroup", new("cgroup", "")),
        (
            "/srv",
            shim::Mount {
                readonly: true,
                recursive_readonly: true,
                propagation: Wire::Slave.into(),
                create_source: true,
                ..bind("/srv")
            },
        ),
        ("/one", shim::Mount { recursive_bind: false, propagation: Wire::Shared.into(), ..bind("/srv/one") }),
        ("/etc/hosts", shim::Mount { uid_mappings: map.clone(), gid_mappings: map, ..bind("/etc/h") }),
        ("/data", shim::Mount { filesystem: "volume".into(), recursive_bind: false, ..bind("/var/c1/volumes/0") }),
        ("/image", image(&["/l/2", "/l/1:0"], "a/b")),
        ("/layer", image(&["/l/2"], "")),
    ];
    let written: Vec<_> = sample::mounts().into_iter().map(mount).collect();
    assert_eq!(written.len(), table.len());
    for (written, (destination, expected)) in written.into_iter().zip(table) {
        assert_eq!(written, shim::Mount { destination: destination.into(), ..expected });
    }
    let parts = paths_in_images(everything());
    assert_eq!(parts.iter().map(|part| part.destination.as_str()).collect::<Vec<_>>(), ["/image"]);
}

#[test]
fn devices_and_rules_have_letters_and_numbers() {
    let start = written(everything());
    let device = |path: &str, kind: &str, numbers: (u32, u32), ids: (u32, u32), process: (bool, bool)| shim::Device {
        path: path.into(),
        kind: kind.into(),
        major: numbers.0,
        minor: numbers.1,
        mode: 0o660,
        uid: ids.0,
        gid: ids.1,
        process_uid: process.0,
        process_gid: process.1,
    };
    assert_eq!(
        start.devices,
        [
            device("/dev/c", "c", (1, 3), (0, 5), (false, false)),
            device("/dev/b", "b", (7, 0), (0, 6), (true, false)),
            device("/dev/p", "p", (0, 0), (4, 0), (false, true)),
        ]
    );
    let rule = |allow, kind: &str, major, access: &str| shim::DeviceRule {
        allow,
        kind: kind.into(),
        major,
        minor: -1,
        access: access.into(),
    };
    assert_eq!(
        start.device_rules,
        [rule(false, "a", -1, "rwm"), rule(true, "b", -1, "m"), rule(true, "c", 136, "rwm")]
    );
}

#[test]
fn namespaces_are_new_pinned_or_of_a_process() {
    let start = written(everything());
    let told: Vec<_> = start.namespaces.iter().map(|n| (n.kind(), n.path.as_str(), n.start_ticks)).collect();
    let expected = [
        (Kind::Mount, "", 0),
        (Kind::User, "/run/pod/ns/user", 0),
        (Kind::Net, "/run/pod/ns/net", 0),
        (Kind::Uts, "/run/pod/ns/uts", 0),
        (Kind::Ipc, "/run/pod/ns/ipc", 0),
        (Kind::Pid, "/proc/9/ns/pid", 77),
        (Kind::Cgroup, "", 0),
    ];
    assert_eq!((told, start.private_cgroup_namespace), (expected.to_vec(), true));
    let maps = start.user_mapping.expect("ids");
    assert_eq!((maps.uids[0].host_id, maps.gids.len()), (100_000, 1));
}

#[test]
fn limits_have_the_wires_numbers() {
    let start = written(everything());
    let expected = shim::Resources {
        cpu_period_us: 50_000,
        cpu_quota_us: -1,
        cpu_shares: 102,
        memory_limit_bytes: 64 << 20,
        memory_swap_limit_bytes: 96 << 20,
        cpuset_cpus: "0-1".into(),
        cpuset_mems: "0".into(),
        hugepages: vec![shim::HugepageLimit { page_size: "2MB".into(), limit_bytes: 0 }],
        unified: vec![shim::UnifiedValue { file: "memory.high".into(), value: "1".into() }],
        pids_limit: 9,
    };
    assert_eq!(start.resources, Some(expected));
}

#[test]
fn the_rest_is_where_the_shim_looks_for_it() {
    let start = written(everything());
    let root = start.rootfs.expect("a root");
    assert_eq!(
        (root.layers, root.readonly, root.propagation.as_str()),
        (vec!["/l/2".into(), "/l/1:0".into()], true, "shared")
    );
    assert_eq!(root.directories, ["/data"]);
    assert_eq!(
        (start.container_id.as_str(), start.run_dir.as_str(), start.root_dir.as_str()),
        ("c1", "/run/c1", "/var/c1")
    );
    assert_eq!((start.masked_paths[0].as_str(), start.readonly_paths[0].as_str()), ("/proc/kcore", "/proc/sys"));
    assert_eq!(start.cgroup, Some(CgroupPlace { layout: Some(layout()), path: "/gorae/pod/c1".into() }));
    assert_eq!((start.log_path.as_str(), start.stdin, start.stdin_once), ("/log/0.log", true, true));
    assert!(!start.device_program);
}

#[test]
fn hooks_get_a_state_to_be_finished_and_the_whole_configuration() {
    let hooks = written(everything()).hooks.expect("hooks");
    let names: Vec<_> = hooks.hooks.iter().map(|hook| (hook.name.as_str(), hook.timeout_ms)).collect();
    assert_eq!(names, [("poststop", 0), ("createRuntime", 3000), ("createRuntime", 0)]);
    assert_eq!((hooks.hooks[1].path.as_str(), &hooks.hooks[1].env[..]), ("/bin/hook", &["H=1".to_owned()][..]));
    let state = format!("{},\"status\":\"creating\",\"pid\":5}}", hooks.state);
    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
    assert_eq!((&state["id"], &state["bundle"], &state["pid"]), (&"c1".into(), &"/run/c1/bundle".into(), &5.into()));
    assert_eq!((hooks.bundle.as_str(), &state["annotations"]["note"]), ("/run/c1/bundle", &"a \"b\"".into()));
    let config: serde_json::Value = serde_json::from_slice(&hooks.config).expect("JSON");
    assert_eq!(config, oci::config(&everything(), None).expect("written"));
    let keys: BTreeSet<_> = config.as_object().expect("an object").keys().map(String::as_str).collect();
    assert!(keys.is_superset(&["process", "root", "mounts", "linux", "hooks"].into()), "{keys:?}");
}
