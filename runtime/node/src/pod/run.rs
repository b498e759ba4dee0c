// SPDX-License-Identifier: Apache-2.0
//! RunPodSandbox: record the intent, make the pod, commit the record. If a step fails, undo everything.

use super::reserve::{Wanted, reserve};
use super::{
    Network, Owner, Pins, Pod, Record, State, UP_KIND, UP_VERSION, Up, etc_files, netns, pins, reach, request, settings,
};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::ids::{self, PodId};
use crate::machine::Machine;
use crate::networks::Networks;
use crate::node::Node;
use crate::objects::Objects;
use crate::operations::Operations;
use crate::places::Places;
use crate::{clock, disposable, idempotency, records};
use gorae_cgroups as cgroups;
use gorae_kernel::process::ProcessId;
use gorae_proto::cri;
use gorae_proto::gorae::PodNetworkSettings;
use gorae_proto::shim::{SetupPod, Sysctl};
use gorae_shims as shims;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

/// The request for a pod.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// What the CRI has words for.
    pub config: cri::PodSandboxConfig,
    /// Empty for the default one.
    pub runtime_handler: String,
    /// What a pod of people has besides.
    pub settings: Option<PodNetworkSettings>,
}

/// Runs a pod and returns its id; a retry gets the same pod.
///
/// # Errors
/// `InvalidArgument` for the request; `AlreadyExists` when a pod with the same identity is stopped or has another
/// configuration; those of network and shim. Nothing is left behind.
pub async fn run(node: Arc<Node>, asked: Asked) -> Result<PodId> {
    request::check(&asked.config)?;
    asked.settings.as_ref().map_or(Ok(()), |settings| settings::check(settings, &asked.config))?;
    node.settings.handlers.check(&asked.runtime_handler)?;
    let key = Pod::key(&asked.config);
    let (operations, again) = (node.runs.clone(), asked.clone());
    let of = node.clone();
    let run = operations.run(key, async move { once(&of, asked).await });
    let joined = run.joined();
    let id = run.await?;
    if let (true, Some(pod)) = (joined, node.objects.pods.get(&id)) {
        same(&pod, &again)?;
    }
    Ok(id)
}

/// Checks that a request is a retry of the request that made a pod.
fn same(pod: &Pod, asked: &Asked) -> Result<()> {
    let (record, title) = (&pod.record, format!("pod {}", Pod::title(&asked.config)));
    if record.settings != asked.settings {
        let why = format!("{title}: it exists with another network; remove it first, or ask for the same one");
        return Err(Error::new(Kind::AlreadyExists, why));
    }
    idempotency::check_pod(&title, (&record.config, &record.runtime_handler), (&asked.config, &asked.runtime_handler))
}

async fn once(node: &Arc<Node>, asked: Asked) -> Result<PodId> {
    let title = Pod::title(&asked.config);
    if let Some(made) = node.objects.pod_of(&asked.config) {
        if made.is_ready() {
            return same(&made, &asked).map(|()| made.id().clone());
        }
        return Err(Error::new(
            Kind::AlreadyExists,
            format!("pod {title}: a stopped pod {} has the same uid and attempt; remove it first", made.id()),
        ));
    }
    let id = PodId::generate()?;
    let result = make(node, &id, asked).await;
    result.map_err(|e| e.during(format!("run pod {title}")))
}

async fn make(node: &Arc<Node>, id: &PodId, asked: Asked) -> Result<PodId> {
    let mut record = new_record(&node.machine, id, asked)?;
    let wanted = reserve(&node.machine.places, &node.networks, &node.objects, &mut record).await?;
    match set_up(node, &record, wanted).await {
        Ok(up) => {
            let pod = Pod::new(record, State::Ready(up));
            {
                let transaction = node.events.transaction();
                node.objects.pods.insert(pod.clone());
                transaction.pod_started(&pod);
            }
            super::upkeep::follow(node, &pod);
            node.refresh_names_of(id).await;
            tracing::info!(pod = ids::short(id), name = %Pod::title(&pod.record.config), "pod is ready");
            Ok(id.clone())
        }
        Err(failure) => Err(match undo(&node.machine, &node.networks, &record).await {
            Ok(()) => failure,
            Err(undo) => {
                list_for_clean_up(&node.objects, &node.machine.places, record);
                failure.and_undo_failed(&undo)
            }
        }),
    }
}

/// Lists a pod that could not be undone as not ready, so that the client's stop and remove retry the clean-up.
pub fn list_for_clean_up(objects: &Objects, places: &Places, record: Record) {
    if let Err(error) = records::commit(&places.pod_root(&record.id), "record") {
        // The intent stays on disk: the next start of the daemon tries to undo the pod again.
        tracing::error!(pod = ids::short(&record.id), %error, "cannot keep the record of a half-made pod");
    }
    objects.pods.insert(Pod::new(record, State::NotReady));
}

/// The record of a request, with the pod's cgroup; its network is not allocated yet.
fn new_record(machine: &Machine, id: &PodId, asked: Asked) -> Result<Record> {
    let Asked { config, runtime_handler, settings } = asked;
    let parent = config.linux.as_ref().map(|l| l.cgroup_parent.as_str()).unwrap_or_default();
    let cgroup = cgroups::pod_path(parent, id).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(Record {
        id: id.clone(),
        runtime_handler,
        created_at: clock::unique_ns(),
        owner: Owner::Cri,
        network: Network::Host,
        netns: (request::namespaces(&config).network() != cri::NamespaceMode::Node).then(|| netns::path(id)),
        settings,
        selinux_level: None,
        made_cgroups: cgroup.missing(&machine.hierarchies),
        own_cgroup: cgroup.own,
        cgroup: cgroup.path,
        config,
    })
}

async fn set_up(node: &Arc<Node>, record: &Record, wanted: Wanted) -> Result<Up> {
    let (dir, run_dir) = (node.machine.places.pod_root(&record.id), node.machine.places.pod_run(&record.id));
    disk::blocking(|| records::make_dir(&run_dir))?;
    if !record.config.log_directory.is_empty() {
        make_log_directory(&node.log_directories, record.config.log_directory.clone()).await?;
    }
    let ready = shims::setup_pod(&node.machine.spawner, setup(&node.machine, record, &wanted)?).await?;
    disk::blocking(|| netns::pin_if_missing(record, &run_dir))?;
    let reached = reach::reach(node, record, &wanted).await?;
    let mut up = Up {
        init: ProcessId::from_wire(ready.init_pid, ready.init_start_ticks),
        boot_id: node.machine.boot_id.clone(),
        pins: Pins::new(),
        addresses: reached.addresses.clone(),
        published: reached.published.clone(),
        hosts_due: None,
    };
    disk::blocking(|| {
        etc_files::write(&dir, &node.machine.places, record, &reached)?;
        up.pins = pins::look(record, &run_dir);
        records::write(&run_dir, UP_KIND, UP_KIND, UP_VERSION, &up)?;
        records::commit(&dir, "record")
    })?;
    Ok(up)
}

/// Makes the log directory, or joins a request that is making it. kubelet retries a pod whose log directory hangs, and
/// otherwise each retry would cost a thread.
async fn make_log_directory(log_directories: &Operations<()>, path: String) -> Result<()> {
    const WHAT: &str = "log_directory";
    let make = |path: String| {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&path);
        made.map_err(|e| Error::precondition(format!("make log_directory {path}: {e}")))
    };
    let key = path.clone();
    let making = log_directories.run(key, async move { disposable::probe_to_the_end(WHAT, path, make).await });
    disposable::in_time(WHAT, making.into_future()).await
}

fn setup(machine: &Machine, record: &Record, wanted: &Wanted) -> Result<SetupPod> {
    let options = request::namespaces(&record.config);
    let own_net = options.network() != cri::NamespaceMode::Node;
    let own_uts = request::own_uts(&record.config);
    Ok(SetupPod {
        pod_id: record.id.to_string(),
        run_dir: machine.places.pod_run(&record.id).to_string_lossy().into_owned(),
        hostname: if own_uts { record.hostname()? } else { String::new() },
        own_net,
        own_ipc: options.ipc() != cri::NamespaceMode::Node,
        own_uts,
        own_pid: options.pid() == cri::NamespaceMode::Pod,
        user: request::user_mapping(&record.config)?,
        sysctls: early_sysctls(record)?,
        network: wanted.interface().cloned(),
        join_net: wanted.joined().map(|netns| netns.to_string_lossy().into_owned()).unwrap_or_default(),
        netns: record.netns_on_wire(),
        cgroup: Some(machine.cgroup(record.cgroup.clone())),
        clients_cgroup_init: if record.own_cgroup {
            String::new()
        } else {
            cgroups::own_path(&record.pod_cgroup(), &record.id)
        },
    })
}

/// The sysctls that are set with the namespaces. Those of interfaces that are made later are set later, and those of another
/// pod's network are that pod's.
fn early_sysctls(record: &Record) -> Result<Vec<Sysctl>> {
    let mut sysctls = request::sysctls(&record.config)?;
    match record.network {
        Network::Cni { .. } | Network::People => sysctls.retain(|sysctl| !request::is_of_interface(sysctl)),
        Network::Of { .. } => sysctls.retain(|sysctl| !sysctl.name.starts_with("net")),
        // It may get more interfaces than the built-in network's.
        Network::Builtin { .. } if record.settings.is_some() => {
            sysctls.retain(|sysctl| !request::is_of_interface(sysctl));
        }
        Network::Host | Network::Loopback | Network::Builtin { .. } => {}
    }
    Ok(sysctls)
}

/// Undoes a pod that did not come up. Recovery does the same with an intent that it finds. What a CNI network does not give
/// back is owed.
///
/// # Errors
/// The errors of shim and built-in network; the caller should retry.
pub async fn undo(machine: &Machine, networks: &Networks, record: &Record) -> Result<()> {
    if let Err(error) = super::stop::tear_down(machine, networks, record).await? {
        tracing::warn!(pod = ids::short(&record.id), %error, "cannot undo the network of a half-made pod; trying again later");
    }
    super::remove::delete_directories(&machine.places, &record.id).await
}
