// SPDX-License-Identifier: Apache-2.0
//! The container as an OCI runtime spec, for people and tools that read `info.runtimeSpec`.
//!
//! The shim works from its own message; this is a view of it in the format that the field knows.

use super::{Context, build};
use crate::container::Record;
use crate::pod::Pod;
use gorae_proto::shim;
use oci_spec::runtime as oci;

/// The spec as JSON; `null` when the order cannot be built any more (a target container that is gone, say).
pub fn view(record: &Record, pod: &Pod, context: &Context) -> serde_json::Value {
    match build(record, pod, context).ok().and_then(|order| spec(record, &order)) {
        Some(spec) => serde_json::to_value(spec).unwrap_or(serde_json::Value::Null),
        None => serde_json::Value::Null,
    }
}

/// The spec of an order; `None` when the order has no process or root.
pub(super) fn spec(record: &Record, order: &shim::Start) -> Option<oci::Spec> {
    let process = order.process.as_ref()?;
    let text = |list: &[Vec<u8>]| list.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect::<Vec<_>>();
    let process = oci::ProcessBuilder::default()
        .terminal(process.tty)
        .args(text(&process.args))
        .env(text(&process.env))
        .cwd(&process.cwd)
        .no_new_privileges(process.no_new_privs)
        .capabilities(capabilities(process.capabilities.as_ref()?))
        .build()
        .ok()?;
    let root = oci::RootBuilder::default().path("rootfs").readonly(order.rootfs.as_ref()?.readonly).build().ok()?;
    let linux = oci::LinuxBuilder::default()
        .cgroups_path(&record.cgroup)
        .namespaces(order.namespaces.iter().filter_map(namespace).collect::<Vec<_>>())
        .masked_paths(order.masked_paths.clone())
        .readonly_paths(order.readonly_paths.clone())
        .resources(resources(order.resources.as_ref()?))
        .build()
        .ok()?;
    oci::SpecBuilder::default()
        .version("1.2.1")
        .process(process)
        .root(root)
        .hostname(&order.hostname)
        .mounts(order.mounts.iter().filter_map(mount).collect::<Vec<_>>())
        .annotations(record.config.annotations.clone())
        .linux(linux)
        .build()
        .ok()
}

fn capabilities(caps: &shim::Capabilities) -> oci::LinuxCapabilities {
    let set = |mask: u64| {
        gorae_seccomp::capabilities::names(mask)
            .filter_map(|name| name.strip_prefix("CAP_").unwrap_or(&name).parse::<oci::Capability>().ok())
            .collect::<oci::Capabilities>()
    };
    let mut all = oci::LinuxCapabilities::default();
    all.set_bounding(Some(set(caps.bounding)));
    all.set_effective(Some(set(caps.effective)));
    all.set_permitted(Some(set(caps.permitted)));
    all.set_inheritable(Some(set(caps.inheritable)));
    all.set_ambient(Some(set(caps.ambient)));
    all
}

fn namespace(ns: &shim::Namespace) -> Option<oci::LinuxNamespace> {
    use shim::namespace::Kind;
    let typ = match ns.kind() {
        Kind::Mount => oci::LinuxNamespaceType::Mount,
        Kind::Pid => oci::LinuxNamespaceType::Pid,
        Kind::Net => oci::LinuxNamespaceType::Network,
        Kind::Ipc => oci::LinuxNamespaceType::Ipc,
        Kind::Uts => oci::LinuxNamespaceType::Uts,
        Kind::User => oci::LinuxNamespaceType::User,
        Kind::Cgroup => oci::LinuxNamespaceType::Cgroup,
        Kind::Time => oci::LinuxNamespaceType::Time,
    };
    let builder = oci::LinuxNamespaceBuilder::default().typ(typ);
    if ns.path.is_empty() { builder.build().ok() } else { builder.path(&ns.path).build().ok() }
}

fn mount(mount: &shim::Mount) -> Option<oci::Mount> {
    let flags = [
        (mount.readonly, "ro"),
        (mount.recursive_readonly, "rro"),
        (mount.nosuid, "nosuid"),
        (mount.nodev, "nodev"),
        (mount.noexec, "noexec"),
        (mount.recursive_bind, "rbind"),
    ];
    let options: Vec<String> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| (*name).to_owned())
        .chain(mount.data.split(',').filter(|o| !o.is_empty()).map(str::to_owned))
        .collect();
    oci::MountBuilder::default()
        .destination(&mount.destination)
        .source(&mount.source)
        .typ(if mount.filesystem == "volume" { "bind" } else { &mount.filesystem })
        .options(options)
        .build()
        .ok()
}

fn resources(limits: &shim::Resources) -> oci::LinuxResources {
    let mut cpu = oci::LinuxCpu::default();
    cpu.set_shares(u64::try_from(limits.cpu_shares).ok().filter(|&v| v > 0));
    cpu.set_quota(Some(limits.cpu_quota_us).filter(|&v| v != 0));
    cpu.set_period(u64::try_from(limits.cpu_period_us).ok().filter(|&v| v > 0));
    cpu.set_cpus(Some(limits.cpuset_cpus.clone()).filter(|c| !c.is_empty()));
    cpu.set_mems(Some(limits.cpuset_mems.clone()).filter(|c| !c.is_empty()));
    let mut memory = oci::LinuxMemory::default();
    memory.set_limit(Some(limits.memory_limit_bytes).filter(|&v| v != 0));
    memory.set_swap(Some(limits.memory_swap_limit_bytes).filter(|&v| v != 0));
    let mut resources = oci::LinuxResources::default();
    resources.set_cpu(Some(cpu));
    resources.set_memory(Some(memory));
    resources
}
