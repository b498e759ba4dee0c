// SPDX-License-Identifier: Apache-2.0
//! RunPodSandbox: record the intent, make the pod, commit the record. If a step fails, undo everything.

use super::{
    Network, Owner, Pins, Pod, RECORD_KIND, RECORD_VERSION, Record, State, UP_KIND, UP_VERSION, Up, attach, etc_files,
    netns, pins, request,
};
use crate::disk;
use crate::error::{Error, Kind, Result};
use crate::ids::{self, PodId};
use crate::machine::Machine;
use crate::networks::{Choice, Networks};
use crate::node::Node;
use crate::objects::Objects;
use crate::operations::Operations;
use crate::places::Places;
use crate::{clock, disposable, idempotency, records};
use gorae_cgroups as cgroups;
use gorae_cni::capability::PORT_MAPPINGS;
use gorae_cni::directory::Chosen;
use gorae_kernel::process::ProcessId;
use gorae_proto::cri;
use gorae_proto::shim::{PodNetwork, SetupPod, Sysctl};
use gorae_shims as shims;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

/// Runs a pod and returns its id; a retry gets the same pod.
///
/// # Errors
/// `InvalidArgument` for the request; `AlreadyExists` when a pod with the same identity is stopped or has another
/// configuration; those of network and shim. Nothing is left behind.
pub async fn run(node: Arc<Node>, config: cri::PodSandboxConfig, runtime_handler: String) -> Result<PodId> {
    request::check(&config)?;
    node.settings.handlers.check(&runtime_handler)?;
    let key = Pod::key(&config);
    let (operations, asked) = (node.runs.clone(), (config.clone(), runtime_handler.clone()));
    let of = node.clone();
    let run = operations.run(key, async move { once(&of, config, runtime_handler).await });
    let joined = run.joined();
    let id = run.await?;
    if let (true, Some(pod)) = (joined, node.objects.pods.get(&id)) {
        same(&pod, &asked.0, &asked.1)?;
    }
    Ok(id)
}

/// Checks that a request is a retry of the request that made a pod.
fn same(pod: &Pod, config: &cri::PodSandboxConfig, runtime_handler: &str) -> Result<()> {
    let (record, title) = (&pod.record, Pod::title(config));
    idempotency::check_pod(
        &format!("pod {title}"),
        (&record.config, &record.runtime_handler),
        (config, runtime_handler),
    )
}

async fn once(node: &Arc<Node>, config: cri::PodSandboxConfig, runtime_handler: String) -> Result<PodId> {
    if let Some(made) = node.objects.pod_of(&config) {
        if made.is_ready() {
            return same(&made, &config, &runtime_handler).map(|()| made.id().clone());
        }
        let title = Pod::title(&config);
        return Err(Error::new(
            Kind::AlreadyExists,
            format!("pod {title}: a stopped pod {} has the same uid and attempt; remove it first", made.id()),
        ));
    }
    let title = Pod::title(&config);
    let id = PodId::generate()?;
    let result = make(node, &id, config, runtime_handler).await;
    result.map_err(|e| e.during(format!("run pod {title}")))
}

async fn make(node: &Arc<Node>, id: &PodId, config: cri::PodSandboxConfig, handler: String) -> Result<PodId> {
    let mut record = new_record(&node.machine, id, config, handler)?;
    let wanted = reserve(&node.machine.places, &node.networks, &mut record).await?;
    match set_up(node, &record, wanted).await {
        Ok(up) => {
            let pod = Pod::new(record, State::Ready(up));
            {
                let transaction = node.events.transaction();
                node.objects.pods.insert(pod.clone());
                transaction.pod_started(&pod);
            }
            super::upkeep::follow(node, &pod);
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
fn new_record(machine: &Machine, id: &PodId, config: cri::PodSandboxConfig, runtime_handler: String) -> Result<Record> {
    let parent = config.linux.as_ref().map(|l| l.cgroup_parent.as_str()).unwrap_or_default();
    let cgroup = cgroups::pod_path(parent, id).map_err(|e| Error::invalid(e.to_string()))?;
    Ok(Record {
        id: id.clone(),
        runtime_handler,
        created_at: clock::unique_ns(),
        owner: Owner::Cri,
        network: Network::Host,
        netns: (request::namespaces(&config).network() != cri::NamespaceMode::Node).then(|| netns::path(id)),
        selinux_level: None,
        made_cgroups: cgroup.missing(&machine.hierarchies),
        own_cgroup: cgroup.own,
        cgroup: cgroup.path,
        config,
    })
}

/// What is to be made of a pod's network.
#[derive(Debug)]
enum Wanted {
    /// Nothing: it is the node's.
    Nothing,
    /// This interface.
    Builtin(PodNetwork),
    /// What the plugins of this network make.
    Cni(Arc<Chosen>),
}

/// Chooses the network, allocates addresses and ports from the built-in one, and writes the intent. It touches nothing
/// else.
async fn reserve(places: &Places, networks: &Networks, record: &mut Record) -> Result<Wanted> {
    let network = &networks.builtin;
    let mut wanted = Wanted::Nothing;
    if request::namespaces(&record.config).network() != cri::NamespaceMode::Node {
        match networks.choose()? {
            Choice::Builtin => {
                let plan = network.prepare(&record.id, &record.config.port_mappings).await?;
                let host_interface = plan.network.host_interface.clone();
                record.network = Network::Builtin { addresses: plan.ips, host_interface };
                wanted = Wanted::Builtin(plan.network);
            }
            Choice::Cni(chosen) => {
                let maps_ports = chosen.list.wants(PORT_MAPPINGS);
                record.network = Network::Cni { name: chosen.list.name.clone(), maps_ports };
                if !record.config.port_mappings.is_empty() {
                    network.reserve_ports(&record.id, &record.config.port_mappings, record.network.mapper()).await?;
                }
                wanted = Wanted::Cni(chosen);
            }
        }
    }
    let dir = places.pod_root(&record.id);
    let written = disk::blocking(|| {
        records::make_dir(&dir)?;
        records::write_intent(&dir, "record", RECORD_KIND, RECORD_VERSION, record)
    });
    if let Err(error) = written {
        let _ = disk::blocking(|| std::fs::remove_dir_all(&dir));
        let withdrawn = network.withdraw(&record.id).await;
        network.release(&record.id);
        return Err(match withdrawn {
            Ok(()) => error,
            Err(undo) => error.and_undo_failed(&undo.into()),
        });
    }
    Ok(wanted)
}

async fn set_up(node: &Arc<Node>, record: &Record, wanted: Wanted) -> Result<Up> {
    let (dir, run_dir) = (node.machine.places.pod_root(&record.id), node.machine.places.pod_run(&record.id));
    disk::blocking(|| records::make_dir(&run_dir))?;
    if !record.config.log_directory.is_empty() {
        make_log_directory(&node.log_directories, record.config.log_directory.clone()).await?;
    }
    let (interface, chosen) = match wanted {
        Wanted::Nothing => (None, None),
        Wanted::Builtin(interface) => (Some(interface), None),
        Wanted::Cni(chosen) => (None, Some(chosen)),
    };
    let ready = shims::setup_pod(&node.machine.spawner, setup(&node.machine, record, interface)?).await?;
    disk::blocking(|| netns::pin_if_missing(record, &run_dir))?;
    let addresses = match chosen {
        Some(chosen) => attach::attach(&node.machine, &node.networks.cni, record, &chosen).await?,
        None => record.network.given_out().to_vec(),
    };
    if !record.config.port_mappings.is_empty() {
        match &record.network {
            Network::Host => {}
            Network::Builtin { .. } => node.networks.builtin.publish(&record.id).await?,
            Network::Cni { .. } => node.networks.builtin.publish_at(&record.id, &addresses).await?,
        }
    }
    let mut up = Up {
        init: ProcessId::from_wire(ready.init_pid, ready.init_start_ticks),
        boot_id: node.machine.boot_id.clone(),
        pins: Pins::new(),
        addresses,
    };
    disk::blocking(|| {
        etc_files::write(&dir, &record.config, &record.hostname()?, &up.addresses)?;
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

fn setup(machine: &Machine, record: &Record, network: Option<PodNetwork>) -> Result<SetupPod> {
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
        network,
        netns: record.netns_on_wire(),
        join_net: String::new(),
        cgroup: Some(machine.cgroup(record.cgroup.clone())),
        clients_cgroup_init: if record.own_cgroup {
            String::new()
        } else {
            cgroups::own_path(&record.pod_cgroup(), &record.id)
        },
    })
}

/// The sysctls that can be set before a network plugin makes the interfaces.
fn early_sysctls(record: &Record) -> Result<Vec<Sysctl>> {
    let mut sysctls = request::sysctls(&record.config)?;
    if matches!(record.network, Network::Cni { .. }) {
        sysctls.retain(|sysctl| !request::is_of_interface(sysctl));
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
