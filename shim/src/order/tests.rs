// SPDX-License-Identifier: Apache-2.0
//! Tests every field of the start message that can be malformed, and a message as the daemon sends it.

use super::*;
use crate::tree::{Propagation, Reach};
use crate::wire::{
    Capabilities, CgroupLayout, CgroupPlace, DeviceRule, Hook, IdMap, OomScoreAdj, Start, UserMapping, V1Hierarchy,
    mount, namespace,
};

fn namespace(kind: namespace::Kind, path: &str) -> wire::Namespace {
    wire::Namespace { kind: kind.into(), path: path.into(), start_ticks: 0 }
}

fn mount(destination: &str, filesystem: &str) -> wire::Mount {
    wire::Mount { destination: destination.into(), filesystem: filesystem.into(), ..wire::Mount::default() }
}

/// A message with content in every part, as the daemon could send it.
fn start() -> Start {
    let v1 = vec![V1Hierarchy { mount_point: "/c/cpu".into(), controllers: vec!["cpu".into()] }];
    let layout = CgroupLayout { unified: "/c/unified".into(), unified_has_controllers: false, v1 };
    let map = vec![IdMap { container_id: 0, host_id: 70_000, length: 65_536 }];
    let hook = Hook { name: "poststop".into(), path: "/bin/hook".into(), env: vec!["A=b".into()], ..Hook::default() };
    Start {
        container_id: "c1".into(),
        run_dir: "/run/c1".into(),
        root_dir: "/root/c1".into(),
        rootfs: Some(wire::Rootfs {
            layers: vec!["/layers/1".into()],
            propagation: "slave".into(),
            directories: vec!["/data".into()],
            ..wire::Rootfs::default()
        }),
        process: Some(wire::Process {
            args: vec![b"/bin/sh".to_vec()],
            env: vec![b"A=b".to_vec()],
            cwd: "/work".into(),
            user: Some(wire::User::default()),
            capabilities: Some(Capabilities::default()),
            seccomp_filter: vec![0; 16],
            seccomp_flags: 2,
            oom_score_adj: Some(OomScoreAdj { value: -1000 }),
            rlimits: vec![wire::Rlimit { resource: 7, soft: 1, hard: 2 }],
            ..wire::Process::default()
        }),
        namespaces: vec![
            namespace(namespace::Kind::Mount, ""),
            namespace(namespace::Kind::User, "/run/pod/ns/user"),
            namespace(namespace::Kind::Pid, ""),
        ],
        mounts: vec![
            mount("/proc", "proc"),
            mount("/dev", "tmpfs"),
            wire::Mount { source: "/srv".into(), recursive_bind: true, readonly: true, ..mount("/srv", "bind") },
            wire::Mount { source: "/root/c1/volumes/0".into(), ..mount("/data", "volume") },
            wire::Mount {
                image_layers: vec!["/layers/9".into()],
                source_layer_path: "/a/b/".into(),
                ..mount("/image", "image")
            },
        ],
        devices: vec![wire::Device { path: "/dev/x".into(), kind: "c".into(), mode: 0o666, ..wire::Device::default() }],
        device_rules: vec![DeviceRule { kind: "a".into(), major: -1, minor: -1, access: "rwm".into(), allow: false }],
        masked_paths: vec!["/proc/keys".into()],
        readonly_paths: vec!["/proc/sys".into()],
        cgroup: Some(CgroupPlace { layout: Some(layout), path: "/pod/c1".into() }),
        resources: Some(wire::Resources { memory_limit_bytes: 5, ..wire::Resources::default() }),
        log_path: "/logs/0.log".into(),
        user_mapping: Some(UserMapping { uids: map.clone(), gids: map }),
        private_cgroup_namespace: true,
        hooks: Some(wire::Hooks {
            hooks: vec![hook],
            state: "{\"id\":\"c1\"".into(),
            bundle: "/run/c1/bundle".into(),
            config: Vec::new(),
        }),
        ..Start::default()
    }
}

#[test]
fn words_and_numbers_become_what_they_mean() {
    let order = Order::checked(start()).unwrap();
    assert_eq!(order.rootfs.propagation, Propagation::Slave);
    assert!(matches!(order.mounts[1].what, What::Dev(_)) && matches!(order.mounts[0].what, What::Proc(_)));
    let What::Bind(bind) = &order.mounts[2].what else { panic!("{:?}", order.mounts[2]) };
    assert_eq!((bind.reach, bind.attributes_reach, bind.propagation), (Reach::All, Reach::Top, Propagation::Private));
    let What::Image(image) = &order.mounts[4].what else { panic!("{:?}", order.mounts[4]) };
    assert_eq!(image.path, "a/b");
    assert!(order.namespaces.iter().any(|namespace| namespace.kind == Kind::Cgroup), "a private one is created");
    assert_eq!((order.ids.host_uid(5), order.process.oom_score_adj), (70_005, Some(-1000)));
    assert_eq!(order.log_path, Some("/logs/0.log".into()));
}

#[test]
fn what_may_be_left_out_is_none() {
    let order = Order::checked(Start {
        namespaces: vec![namespace(namespace::Kind::Net, "/run/pod/ns/net")],
        user_mapping: None,
        resources: None,
        log_path: String::new(),
        hooks: None,
        private_cgroup_namespace: false,
        ..start()
    })
    .unwrap();
    assert!(order.ids.is_identity() && order.log_path.is_none() && order.hooks.is_none());
    let kinds: Vec<Kind> = order.namespaces.iter().map(|namespace| namespace.kind).collect();
    assert_eq!((kinds, order.resources), (vec![Kind::Net, Kind::Mount], Resources::default()));
}

type Change = fn(&mut Start);

fn process(start: &mut Start) -> &mut wire::Process {
    start.process.as_mut().unwrap()
}

fn rootfs(start: &mut Start) -> &mut wire::Rootfs {
    start.rootfs.as_mut().unwrap()
}

fn cgroup(start: &mut Start) -> &mut CgroupPlace {
    start.cgroup.as_mut().unwrap()
}

fn v1(start: &mut Start) -> &mut V1Hierarchy {
    &mut cgroup(start).layout.as_mut().unwrap().v1[0]
}

fn hook(start: &mut Start) -> &mut Hook {
    &mut start.hooks.as_mut().unwrap().hooks[0]
}

fn refused(rows: &[(&str, Change)]) {
    for (field, change) in rows {
        let mut wrong = start();
        change(&mut wrong);
        let failure = Order::checked(wrong).expect_err(field);
        assert_eq!(failure.kind(), crate::failure::Kind::InvalidArgument);
        let begin = format!("check request {field}: ");
        assert!(failure.message.starts_with(&begin) && failure.message.len() > begin.len(), "{}", failure.message);
    }
}

#[test]
fn every_malformed_field_of_the_container_is_named() {
    refused(&[
        ("container_id", |s| s.container_id = String::new()),
        ("run_dir", |s| s.run_dir = "run".into()),
        ("root_dir", |s| s.root_dir = String::new()),
        ("rootfs", |s| s.rootfs = None),
        ("rootfs.layers", |s| rootfs(s).layers = Vec::new()),
        ("rootfs.layers[1]", |s| rootfs(s).layers.push("layer".into())),
        ("rootfs.propagation", |s| rootfs(s).propagation = "unbindable".into()),
        ("rootfs.directories[0]", |s| rootfs(s).directories = vec!["data".into()]),
        ("namespaces[0].kind", |s| s.namespaces[0].kind = 77),
        ("namespaces[3].kind", |s| s.namespaces.push(namespace(namespace::Kind::Pid, ""))),
        ("namespaces[0].path", |s| s.namespaces[0].path = "/proc/1/ns/mnt".into()),
        ("namespaces[1].path", |s| s.namespaces[1].path = String::new()),
        ("namespaces[2].path", |s| s.namespaces[2].path = "ns/pid".into()),
        ("namespaces[2].path", |s| (s.namespaces[2].path, s.namespaces[2].start_ticks) = ("/run/pid".into(), 1)),
        ("namespaces[2].start_ticks", |s| s.namespaces[2].start_ticks = 1),
        ("user_mapping", |s| s.user_mapping = None),
        ("user_mapping", |s| drop(s.namespaces.remove(1))),
        ("user_mapping.uids", |s| s.user_mapping.as_mut().unwrap().uids = Vec::new()),
        ("user_mapping.gids[0]", |s| s.user_mapping.as_mut().unwrap().gids[0].length = 0),
        ("masked_paths[0]", |s| s.masked_paths[0] = "keys".into()),
        ("readonly_paths[1]", |s| s.readonly_paths.push("/a\0b".into())),
        ("cgroup", |s| s.cgroup = None),
        ("cgroup.path", |s| cgroup(s).path = "/a/../b".into()),
        ("cgroup.layout", |s| cgroup(s).layout = None),
        ("cgroup.layout.v1[0].mount_point", |s| v1(s).mount_point = "cpu".into()),
        ("cgroup.layout.v1[0].controllers", |s| v1(s).controllers = Vec::new()),
        ("resources.memory_limit_bytes", |s| s.resources.as_mut().unwrap().memory_limit_bytes = -2),
        ("log_path", |s| s.log_path = "0.log".into()),
    ]);
}

#[test]
fn every_malformed_field_of_the_process_is_named() {
    refused(&[
        ("process", |s| s.process = None),
        ("process.args", |s| process(s).args = Vec::new()),
        ("process.args", |s| process(s).args[0] = Vec::new()),
        ("process.args[1]", |s| process(s).args.push(b"a\0".to_vec())),
        ("process.env[0]", |s| process(s).env[0] = b"A=\0".to_vec()),
        ("process.cwd", |s| process(s).cwd = "work".into()),
        ("process.user.user", |s| process(s).user = Some(wire::User { user: "-1".into(), ..Default::default() })),
        ("process.user.group", |s| process(s).user = Some(wire::User { group: "1 ".into(), ..Default::default() })),
        ("process.capabilities", |s| process(s).capabilities = None),
        ("process.seccomp_filter", |s| process(s).seccomp_filter = vec![0; 9]),
        ("process.seccomp_filter", |s| process(s).seccomp_filter = vec![0; 8 * 4097]),
        ("process.seccomp_flags", |s| process(s).seccomp_filter = Vec::new()),
        ("process.oom_score_adj", |s| process(s).oom_score_adj = Some(OomScoreAdj { value: 1001 })),
        ("process.rlimits[0].resource", |s| process(s).rlimits[0].resource = 16),
        ("process.rlimits[0].soft", |s| process(s).rlimits[0].soft = 3),
        ("process.apparmor_profile", |s| process(s).apparmor_profile = "a\nb".into()),
        ("process.selinux_label", |s| process(s).selinux_label = "a\0b".into()),
    ]);
}

#[test]
fn every_malformed_field_of_mounts_devices_and_hooks_is_named() {
    refused(&[
        ("mounts[0].destination", |s| s.mounts[0].destination = "proc".into()),
        ("mounts[0].destination", |s| s.mounts[0].destination = "//".into()),
        ("mounts[0].filesystem", |s| s.mounts[0].filesystem = "ext4".into()),
        ("mounts[0].filesystem", |s| s.mounts[0].filesystem = String::new()),
        ("mounts[2].source", |s| s.mounts[2].source = "srv".into()),
        ("mounts[2].propagation", |s| s.mounts[2].propagation = 3),
        ("mounts[2].uid_mappings[0]", |s| {
            s.mounts[2].uid_mappings = vec![IdMap { container_id: u32::MAX, host_id: 0, length: 2 }];
        }),
        ("mounts[3].source", |s| s.mounts[3].source = String::new()),
        ("mounts[4].image_layers", |s| s.mounts[4].image_layers = Vec::new()),
        ("mounts[4].image_layers[0]", |s| s.mounts[4].image_layers[0] = "layer".into()),
        ("mounts[4].source_layer_path", |s| s.mounts[4].source_layer_path = "a\0".into()),
        ("devices[0].path", |s| s.devices[0].path = "x".into()),
        ("devices[0].kind", |s| s.devices[0].kind = "d".into()),
        ("devices[0].mode", |s| s.devices[0].mode = 0o20666),
        ("device_rules[0].kind", |s| s.device_rules[0].kind = "d".into()),
        ("device_rules[0].major", |s| s.device_rules[0].major = -2),
        ("device_rules[0].minor", |s| s.device_rules[0].minor = 1 << 32),
        ("device_rules[0].access", |s| s.device_rules[0].access = "x".into()),
        ("device_rules", |s| s.device_rules = vec![s.device_rules[0].clone(); 513]),
        ("hooks.state", |s| s.hooks.as_mut().unwrap().state = String::new()),
        ("hooks.bundle", |s| s.hooks.as_mut().unwrap().bundle = "bundle".into()),
        ("hooks.hooks[0].name", |s| hook(s).name = "postStart".into()),
        ("hooks.hooks[0].path", |s| hook(s).path = "hook".into()),
        ("hooks.hooks[0].args[0]", |s| hook(s).args = vec!["a\0".into()]),
        ("hooks.hooks[0].env[0]", |s| hook(s).env[0] = "A".into()),
    ]);
    let shared = wire::Mount { propagation: mount::Propagation::Shared.into(), ..start().mounts[2].clone() };
    assert!(Mount::checked(shared).is_ok());
}
