// SPDX-License-Identifier: Apache-2.0
//! Writes an order as the message that starts a shim. Only this module knows how the wire encodes an absent value.
//!
//! Every message is written with all of its fields, so that a field that is added to the protocol cannot be forgotten
//! here: the code does not compile until the field is written.
//!
//! The wire leaves out the host name and the sysctls, which the pod already has; the stop signal, which is sent with the
//! stop; and the text of a seccomp profile, of which the shim gets the compiled program.

use crate::devices::{Device, DeviceRule, Node};
use crate::hooks::{Hook, bundle};
use crate::mounts::{Access, Attributes, Bind, Mount, Propagation, Source};
use crate::namespaces::{IdMap, IdMaps, Namespace, Namespaces};
use crate::oci;
use crate::order::{Order, Root, Stdin};
use crate::process::{Capabilities, Groups, Named, OomScoreAdj, Process, Rlimit, User};
use crate::resources::{HugepageLimit, Limit, Resources};
use gorae_proto::shim::{self, CgroupLayout, CgroupPlace, namespace::Kind};
use std::collections::HashMap;
use std::path::PathBuf;

/// Writes the message; `layout` is the node's cgroup layout.
///
/// # Errors
/// As [`oci::config`], which is written for hooks.
pub fn start(order: Order<'_>, layout: &CgroupLayout) -> Result<shim::Start, gorae_seccomp::Error> {
    let hooks = match &order.hooks[..] {
        [] => None,
        some => {
            let config = oci::config(&order, None)?.to_string().into_bytes();
            Some(hooks(order.id, order.annotations, &order.run_dir, some, config))
        }
    };
    let private_cgroup_namespace = order.namespaces.cgroup == Namespace::New;
    Ok(shim::Start {
        container_id: order.id.to_owned(),
        run_dir: order.run_dir,
        root_dir: order.root_dir,
        rootfs: Some(root(&order.root)),
        process: Some(process(order.process)),
        namespaces: namespaces(order.namespaces),
        mounts: order.mounts.into_iter().map(mount).collect(),
        devices: order.devices.into_iter().map(device).collect(),
        device_rules: order.device_rules.into_iter().map(device_rule).collect(),
        masked_paths: order.masked_paths,
        readonly_paths: order.readonly_paths,
        cgroup: Some(CgroupPlace { layout: Some(layout.clone()), path: order.cgroup.to_owned() }),
        resources: Some(resources(order.resources)),
        log_path: text(order.log),
        stdin: order.stdin != Stdin::Empty,
        stdin_once: order.stdin == Stdin::Once,
        user_mapping: order.id_maps.as_ref().map(user_mapping),
        private_cgroup_namespace,
        hooks,
        // It announces a descriptor, so the code that sends the descriptor sets it.
        device_program: false,
    })
}

/// Returns only the image volumes of an order that show one path of their image.
pub fn paths_in_images(order: Order<'_>) -> Vec<shim::Mount> {
    let shows_a_path = |mount: &Mount<'_>| matches!(&mount.source, Source::Image(volume) if volume.path.is_some());
    order.mounts.into_iter().filter(shows_a_path).map(mount).collect()
}

/// Writes the hooks of a container and what is needed to run them; `config` is the bundle's config.json, empty for hooks
/// that run after the end.
pub fn hooks(
    id: &str,
    annotations: &HashMap<String, String>,
    run_dir: &str,
    hooks: &[Hook<'_>],
    config: Vec<u8>,
) -> shim::Hooks {
    let mut state = oci::state(id, run_dir, annotations).to_string();
    state.pop(); // The brace: status and pid follow.
    let one = |hook: &Hook<'_>| shim::Hook {
        name: hook.point.name().into(),
        path: hook.path.into(),
        args: hook.args.to_vec(),
        env: hook.env.to_vec(),
        timeout_ms: hook.timeout.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)),
    };
    shim::Hooks { hooks: hooks.iter().map(one).collect(), state, bundle: bundle(run_dir), config }
}

/// Writes limits.
pub fn resources(limits: Resources) -> shim::Resources {
    let count = |value: Option<u64>| value.map_or(0, |value| Limit::At(value).number());
    let limit = |value: Option<Limit>| value.map_or(0, Limit::number);
    let page = |pages: HugepageLimit| shim::HugepageLimit { page_size: pages.page_size, limit_bytes: pages.bytes };
    shim::Resources {
        cpu_period_us: count(limits.cpu_period_us),
        cpu_quota_us: limit(limits.cpu_quota_us),
        cpu_shares: count(limits.cpu_shares),
        memory_limit_bytes: limit(limits.memory),
        memory_swap_limit_bytes: limit(limits.memory_and_swap),
        cpuset_cpus: text(limits.cpuset_cpus),
        cpuset_mems: text(limits.cpuset_mems),
        hugepages: limits.hugepages.into_iter().map(page).collect(),
        unified: limits.unified.into_iter().map(|(file, value)| shim::UnifiedValue { file, value }).collect(),
        pids_limit: limit(limits.pids),
    }
}

/// Writes an OOM score adjustment.
pub fn oom_score_adj(score: OomScoreAdj) -> shim::OomScoreAdj {
    shim::OomScoreAdj { value: score.value() }
}

/// Writes an optional text. The wire encodes an absent text as an empty one.
fn text(value: Option<impl Into<String>>) -> String {
    value.map_or_else(String::new, Into::into)
}

fn root(root: &Root<'_>) -> shim::Rootfs {
    let propagation = match root.propagation {
        Propagation::Private => "private",
        Propagation::Slave => "slave",
        Propagation::Shared => "shared",
    };
    shim::Rootfs {
        layers: paths(root.layers),
        readonly: root.readonly,
        propagation: propagation.into(),
        directories: root.directories.to_vec(),
    }
}

fn paths(list: &[PathBuf]) -> Vec<String> {
    list.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

fn process(process: Process<'_>) -> shim::Process {
    let filter = process.seccomp.as_ref().map(|seccomp| &seccomp.filter);
    shim::Process {
        args: process.args.iter().map(|arg| arg.clone().into_bytes()).collect(),
        env: process.env.to_vec(),
        cwd: process.cwd.into(),
        tty: process.terminal,
        user: Some(user(process.user)),
        capabilities: Some(capabilities(process.capabilities)),
        no_new_privs: process.no_new_privs,
        seccomp_filter: filter.map_or_else(Vec::new, |filter| filter.program.to_vec()),
        seccomp_flags: filter.map_or(0, |filter| filter.flags),
        oom_score_adj: process.oom_score_adj.map(oom_score_adj),
        rlimits: process.rlimits.into_iter().map(rlimit).collect(),
        apparmor_profile: text(process.apparmor),
        selinux_label: text(process.selinux),
    }
}

fn user(user: User<'_>) -> shim::User {
    let named = |name: Named<'_>| match name {
        Named::Id(id) => id.to_string(),
        Named::Name(name) => name.into(),
    };
    shim::User {
        user: named(user.user),
        group: user.group.map_or_else(String::new, named),
        supplemental_gids: user.supplementary,
        strict_groups: user.groups == Groups::Strict,
    }
}

fn capabilities(sets: Capabilities) -> shim::Capabilities {
    shim::Capabilities {
        bounding: sets.bounding,
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    }
}

fn rlimit(limit: Rlimit) -> shim::Rlimit {
    shim::Rlimit { resource: limit.resource.number(), soft: limit.soft, hard: limit.hard }
}

/// Lists the namespaces; kinds for which the container is in the node's namespace are left out.
fn namespaces(of: Namespaces) -> Vec<shim::Namespace> {
    let one = |(kind, namespace): (Kind, Namespace)| {
        let (path, start_ticks) = match namespace {
            Namespace::Node => return None,
            Namespace::New => (String::new(), 0),
            Namespace::Pinned(path) => (path, 0),
            Namespace::OfProcess(process) => (format!("/proc/{}/ns/{}", process.pid(), file(kind)), process.start()),
        };
        Some(shim::Namespace { kind: kind.into(), path, start_ticks })
    };
    let all = [
        (Kind::Mount, Namespace::New),
        (Kind::User, of.user),
        (Kind::Net, of.network),
        (Kind::Uts, of.uts),
        (Kind::Ipc, of.ipc),
        (Kind::Pid, of.pid),
        (Kind::Cgroup, of.cgroup),
    ];
    all.into_iter().filter_map(one).collect()
}

/// The name below /proc/PID/ns.
fn file(kind: Kind) -> &'static str {
    match kind {
        Kind::Mount => "mnt",
        Kind::Pid => "pid",
        Kind::Net => "net",
        Kind::Ipc => "ipc",
        Kind::Uts => "uts",
        Kind::User => "user",
        Kind::Cgroup => "cgroup",
    }
}

fn user_mapping(maps: &IdMaps) -> shim::UserMapping {
    shim::UserMapping { uids: id_maps(&maps.uids), gids: id_maps(&maps.gids) }
}

fn id_maps(maps: &[IdMap]) -> Vec<shim::IdMap> {
    let one = |map: &IdMap| shim::IdMap { container_id: map.inside, host_id: map.outside, length: map.length };
    maps.iter().map(one).collect()
}

fn mount(mount: Mount<'_>) -> shim::Mount {
    let Mount { destination, source, attributes } = mount;
    let Attributes { access, nosuid, nodev, noexec } = attributes;
    let bind = if let Source::Bind(bind) = &source { Some(bind) } else { None };
    let image = if let Source::Image(volume) = &source { Some(volume) } else { None };
    let owners = owners(&source);
    shim::Mount {
        destination,
        source: from(&source).to_owned(),
        filesystem: filesystem(&source).into(),
        data: options(&source).into(),
        readonly: access != Access::ReadWrite,
        recursive_readonly: access == Access::ReadOnlyBelow,
        nosuid,
        nodev,
        noexec,
        propagation: propagation(bind.map_or(Propagation::Private, |bind| bind.propagation)).into(),
        recursive_bind: bind.is_some_and(|bind| bind.recursive),
        create_source: bind.is_some_and(|bind| bind.make_missing),
        uid_mappings: owners.map_or_else(Vec::new, |maps| id_maps(&maps.uids)),
        gid_mappings: owners.map_or_else(Vec::new, |maps| id_maps(&maps.gids)),
        source_layer_path: text(image.and_then(|volume| volume.path)),
        image_layers: image.map_or_else(Vec::new, |volume| paths(volume.layers)),
    }
}

/// The wire's word for what is mounted.
fn filesystem(source: &Source<'_>) -> &'static str {
    match source {
        Source::Bind(_) => "bind",
        Source::Volume { .. } => "volume",
        Source::Image(_) => "image",
        Source::Tmpfs { .. } => "tmpfs",
        Source::Proc => "proc",
        Source::Sysfs => "sysfs",
        Source::Devpts { .. } => "devpts",
        Source::Mqueue => "mqueue",
        Source::Cgroup => "cgroup",
    }
}

/// The source field: a path of the node, or a file system's own name. An image volume has its layers instead.
fn from<'s>(source: &'s Source<'_>) -> &'s str {
    match source {
        Source::Bind(bind) => &bind.path,
        Source::Volume { path, .. } => path,
        Source::Image(_) => "",
        _ => filesystem(source),
    }
}

fn options<'s>(source: &'s Source<'_>) -> &'s str {
    match source {
        Source::Tmpfs { options } | Source::Devpts { options } => options,
        _ => "",
    }
}

fn owners<'s>(source: &'s Source<'_>) -> Option<&'s IdMaps> {
    match source {
        Source::Bind(Bind { id_maps, .. }) | Source::Volume { id_maps, .. } => id_maps.as_ref(),
        _ => None,
    }
}

fn propagation(of: Propagation) -> shim::mount::Propagation {
    match of {
        Propagation::Private => shim::mount::Propagation::Private,
        Propagation::Slave => shim::mount::Propagation::Slave,
        Propagation::Shared => shim::mount::Propagation::Shared,
    }
}

fn device(device: Device) -> shim::Device {
    let (kind, major, minor) = match device.node {
        Node::Character(major, minor) => ("c", major, minor),
        Node::Block(major, minor) => ("b", major, minor),
        Node::Fifo => ("p", 0, 0),
    };
    let (process_uid, process_gid) = (device.uid.is_none(), device.gid.is_none());
    let [uid, gid] = [device.uid, device.gid].map(|id| id.unwrap_or(0));
    shim::Device {
        path: device.path,
        kind: kind.into(),
        major,
        minor,
        mode: device.mode,
        uid,
        gid,
        process_uid,
        process_gid,
    }
}

fn device_rule(rule: DeviceRule) -> shim::DeviceRule {
    let any_or = |number: Option<u32>| number.map_or(-1, i64::from);
    shim::DeviceRule {
        allow: rule.allow,
        kind: rule.kind.letter().into(),
        major: any_or(rule.major),
        minor: any_or(rule.minor),
        access: rule.access.letters(),
    }
}

#[cfg(test)]
mod tests;
