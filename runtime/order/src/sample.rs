// SPDX-License-Identifier: Apache-2.0
//! A sample order that uses everything, and a minimal one.

use crate::devices::{Device, DeviceAccess, DeviceKind, DeviceRule, Node};
use crate::hooks::{Hook, Point};
use crate::mounts::{Access, Attributes, Bind, ImageVolume, Mount, Propagation, Source};
use crate::namespaces::{IdMap, IdMaps, Namespace, Namespaces};
use crate::order::{Order, Root, Stdin};
use crate::process::{
    Capabilities, Groups, Named, OomScoreAdj, Process, Rlimit, RlimitResource, Seccomp, SeccompProfile, User,
};
use crate::resources::{HugepageLimit, Limit, Resources};
use gorae_kernel::process::ProcessId;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

static ARGS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["sh".into(), "-c".into()]);
static ENV: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| vec![b"A=1".to_vec(), b"B=\xff".to_vec()]);
static HOOK_ENV: LazyLock<Vec<String>> = LazyLock::new(|| vec!["H=1".into()]);
static NOTES: LazyLock<HashMap<String, String>> = LazyLock::new(|| [("note".into(), "a \"b\"".into())].into());
static NO_NOTES: LazyLock<HashMap<String, String>> = LazyLock::new(HashMap::new);
static LAYERS: LazyLock<Vec<PathBuf>> = LazyLock::new(|| vec!["/l/2".into(), "/l/1:0".into()]);
static VOLUMES: LazyLock<Vec<String>> = LazyLock::new(|| vec!["/data".into()]);

/// The id maps of a pod's user namespace.
pub(crate) fn maps() -> IdMaps {
    let map = vec![IdMap { inside: 0, outside: 100_000, length: 65_536 }];
    IdMaps { uids: map.clone(), gids: map }
}

/// A minimal order.
pub(crate) fn least() -> Order<'static> {
    let namespaces = Namespaces {
        user: Namespace::Node,
        network: Namespace::Node,
        uts: Namespace::Node,
        ipc: Namespace::Node,
        pid: Namespace::Node,
        cgroup: Namespace::Node,
    };
    let user = User { user: Named::Id(0), group: None, supplementary: Vec::new(), groups: Groups::Merge };
    let process = Process {
        args: &ARGS,
        env: &[],
        cwd: "/",
        terminal: false,
        user,
        capabilities: Capabilities::default(),
        no_new_privs: false,
        seccomp: None,
        apparmor: None,
        selinux: None,
        oom_score_adj: None,
        rlimits: Vec::new(),
    };
    Order {
        id: "c1",
        run_dir: "/run/c1".into(),
        root_dir: "/var/c1".into(),
        root: Root { layers: &LAYERS, readonly: false, propagation: Propagation::Private, directories: &[] },
        process,
        namespaces,
        id_maps: None,
        mounts: Vec::new(),
        devices: Vec::new(),
        device_rules: Vec::new(),
        masked_paths: Vec::new(),
        readonly_paths: Vec::new(),
        cgroup: "/gorae/pod/c1",
        resources: Resources::default(),
        sysctls: Vec::new(),
        hooks: Vec::new(),
        hostname: None,
        annotations: &NO_NOTES,
        log: None,
        stdin: Stdin::Empty,
        stop_signal: 15,
    }
}

/// An order that uses everything.
pub(crate) fn everything() -> Order<'static> {
    let pinned = |name: &str| Namespace::Pinned(format!("/run/pod/ns/{name}"));
    let bounding = 1 << 10 | 1;
    Order {
        root: Root { readonly: true, propagation: Propagation::Shared, directories: &VOLUMES, ..least().root },
        process: Process {
            env: &ENV,
            cwd: "/work",
            terminal: true,
            user: User {
                user: Named::Name("bob"),
                group: Some(Named::Id(7)),
                supplementary: vec![20, 30],
                groups: Groups::Strict,
            },
            capabilities: Capabilities { bounding, effective: 1, permitted: 1, inheritable: 1 << 10, ambient: 0 },
            no_new_privs: true,
            seccomp: Some(Seccomp {
                filter: gorae_seccomp::default_filter(bounding),
                profile: SeccompProfile::BuiltIn,
            }),
            apparmor: Some("profile".into()),
            selinux: Some("u:r:t:s0".into()),
            oom_score_adj: OomScoreAdj::new(-5),
            rlimits: vec![Rlimit { resource: RlimitResource::OpenFiles, soft: 1024, hard: 4096 }],
            ..least().process
        },
        namespaces: Namespaces {
            user: pinned("user"),
            network: pinned("net"),
            uts: pinned("uts"),
            ipc: pinned("ipc"),
            pid: Namespace::OfProcess(ProcessId::from_wire(9, 77).expect("a process")),
            cgroup: Namespace::New,
        },
        id_maps: Some(maps()),
        mounts: mounts(),
        devices: devices(),
        device_rules: rules(),
        masked_paths: vec!["/proc/kcore".into()],
        readonly_paths: vec!["/proc/sys".into()],
        resources: resources(),
        sysctls: vec![("net.core.somaxconn".into(), "7".into())],
        hooks: hooks(),
        hostname: Some("web".into()),
        annotations: &NOTES,
        log: Some("/log/0.log"),
        stdin: Stdin::Once,
        stop_signal: 3,
        ..least()
    }
}

/// One mount of each kind.
pub(crate) fn mounts() -> Vec<Mount<'static>> {
    let mount = |destination: &str, source, attributes| Mount { destination: destination.into(), source, attributes };
    let plain = Attributes::default();
    let below = Attributes { access: Access::ReadOnlyBelow, ..plain };
    let readonly = Attributes { access: Access::ReadOnly, ..plain };
    let slave = Bind { propagation: Propagation::Slave, make_missing: true, ..Bind::of("/srv") };
    let one = Bind { recursive: false, propagation: Propagation::Shared, ..Bind::of("/srv/one") };
    let owned = Bind { id_maps: Some(maps()), ..Bind::of("/etc/h") };
    let image = |layers, path| Source::Image(ImageVolume { layers, path });
    vec![
        mount("/proc", Source::Proc, Attributes::QUIET),
        mount("/dev", Source::Tmpfs { options: "mode=755,size=1k".into() }, plain),
        mount("/dev/pts", Source::Devpts { options: "gid=5".into() }, plain),
        mount("/dev/mqueue", Source::Mqueue, plain),
        mount("/sys", Source::Sysfs, readonly),
        mount("/sys/fs/cgroup", Source::Cgroup, plain),
        mount("/srv", Source::Bind(slave), below),
        mount("/one", Source::Bind(one), plain),
        mount("/etc/hosts", Source::Bind(owned), plain),
        mount("/data", Source::Volume { path: "/var/c1/volumes/0".into(), id_maps: None }, plain),
        mount("/image", image(&LAYERS[..], Some("a/b")), readonly),
        mount("/layer", image(&LAYERS[..1], None), readonly),
    ]
}

fn devices() -> Vec<Device> {
    let device = |path: &str, node, uid, gid| Device { path: path.into(), node, mode: 0o660, uid, gid };
    vec![
        device("/dev/c", Node::Character(1, 3), Some(0), Some(5)),
        device("/dev/b", Node::Block(7, 0), None, Some(6)),
        device("/dev/p", Node::Fifo, Some(4), None),
    ]
}

fn rules() -> Vec<DeviceRule> {
    let all = DeviceRule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: DeviceAccess::ALL };
    let make = DeviceRule { allow: true, kind: DeviceKind::Block, access: DeviceAccess::MAKE, ..all };
    vec![all, make, DeviceRule { allow: true, kind: DeviceKind::Character, major: Some(136), ..all }]
}

fn resources() -> Resources {
    Resources {
        cpu_period_us: Some(50_000),
        cpu_quota_us: Some(Limit::Unlimited),
        cpu_shares: Some(102),
        cpuset_cpus: Some("0-1".into()),
        cpuset_mems: Some("0".into()),
        memory: Some(Limit::At(64 << 20)),
        memory_and_swap: Some(Limit::At(96 << 20)),
        pids: Some(Limit::At(9)),
        hugepages: vec![HugepageLimit { page_size: "2MB".into(), bytes: 0 }],
        unified: vec![("memory.high".into(), "1".into())],
    }
}

fn hooks() -> Vec<Hook<'static>> {
    let hook = |point, timeout| Hook { point, path: "/bin/hook", args: &ARGS, env: &HOOK_ENV, timeout };
    let plain = Hook { args: &[], env: &[], ..hook(Point::Poststop, None) };
    vec![plain, hook(Point::CreateRuntime, Some(Duration::from_secs(3))), hook(Point::CreateRuntime, None)]
}
