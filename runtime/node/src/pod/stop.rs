// SPDX-License-Identifier: Apache-2.0
//! StopPodSandbox: stop the containers, then take down the network and the namespaces. It can be repeated at any point.

use super::{Pod, Record, UP_KIND, netns, settings, user_networks};
use crate::container;
use crate::disk;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::networks::Networks;
use crate::node::Node;
use crate::{ids, trash};
use futures_util::future::join_all;
use gorae_attachments::Removal;
use gorae_cgroups as cgroups;
use gorae_proto::shim::CleanPod;
use gorae_shims as shims;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Stops a pod, or continues a stop that failed.
///
/// # Errors
/// `DeadlineExceeded` when a container cannot be killed; everything else of the pod is torn down nevertheless.
pub async fn stop(node: &Arc<Node>, pod: &Arc<Pod>) -> Result<()> {
    let _verb = pod.verb.lock().await;
    stop_held(node, pod).await
}

/// [`stop`] for a caller that holds the pod's verb lock.
///
/// # Errors
/// As there.
pub async fn stop_held(node: &Arc<Node>, pod: &Arc<Pod>) -> Result<()> {
    let run_dir = node.machine.places.pod_run(pod.id());
    let was_ready = pod.is_ready();
    let is_left = is_left(&node.machine, &pod.record) || !node.networks.people.memberships(pod.id()).is_empty();
    if !was_ready && !is_left {
        return Ok(());
    }
    // The intent: from now on the pod is not ready, even for a daemon that starts in the middle of this.
    match disk::blocking(|| std::fs::remove_file(run_dir.join(UP_KIND))) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("remove", &run_dir.join(UP_KIND), &e)),
    }
    pod.set_not_ready();
    // Pairs with the fence in a container's start: either this stop sees the container as starting, or that start sees the
    // pod as not ready.
    fence(Ordering::SeqCst);
    let containers = node.objects.of_pod(pod.id());
    let stopped = join_all(containers.iter().map(|c| container::stop::kill(&node.keeper, c))).await;
    let unkillable = stopped.into_iter().find_map(Result::err);
    if was_ready {
        node.events.transaction().pod_stopped(pod);
        tracing::info!(pod = ids::short(pod.id()), "pod is stopped");
    }
    let torn_down = tear_down(&node.machine, &node.networks, &pod.record).await;
    if matches!(settings::asked(pod.record.settings.as_ref()), settings::Asked::Networks(_)) {
        node.refresh_names().await;
    }
    let torn_down = torn_down.and_then(|detached| Ok(detached.map(drop)?));
    let Some(cause) = unkillable else { return torn_down };
    // This failure is a consequence of the stuck process.
    if let Err(error) = torn_down {
        tracing::warn!(pod = ids::short(pod.id()), %error, "cannot remove everything of the pod");
    }
    Err(cause.during(format!("stop pod {}", ids::short(pod.id()))))
}

/// Removes everything that a pod has on the node: published ports, pins, cgroup and addresses. It is idempotent. What a CNI
/// network does not give back is owed from then on, and returned.
///
/// # Errors
/// The first failure of ours; the steps before it stay done.
pub async fn tear_down(
    machine: &Machine,
    networks: &Networks,
    record: &Record,
) -> Result<gorae_attachments::Result<Removal>> {
    // A broken nft must not keep a pod alive: the network keeps the address until no rule leads to it.
    if let Err(error) = networks.builtin.withdraw(&record.id).await {
        tracing::warn!(pod = ids::short(&record.id), %error, "cannot close the pod's host ports; retrying later");
    }
    // A guest may keep the namespace.
    let left = user_networks::detach(networks, record).await;
    // Its plugins need the namespace, which stays for a while when they fail.
    let detached = networks.cni.attachments().remove(&record.id).await;
    if is_left(machine, record) {
        let keep_netns = !matches!(detached, Ok(Removal::Done));
        shims::clean_pod(&machine.spawner, clean(machine, record, keep_netns)).await?;
        if !keep_netns {
            netns::remove(record)?;
        }
        trash::remove_tree(&machine.places.pod_run(&record.id))?;
    }
    networks.builtin.release(&record.id);
    left?;
    user_networks::release(networks, record).await?;
    Ok(detached)
}

/// Whether anything of a pod may be left on the node: its directory, or its cgroup if the directory was removed by hand.
pub fn is_left(machine: &Machine, record: &Record) -> bool {
    let cgroup = cgroups::own_path(&record.pod_cgroup(), &record.id);
    machine.places.pod_run(&record.id).exists() || machine.hierarchies.have(&cgroup)
}

fn clean(machine: &Machine, record: &Record, keep_netns: bool) -> CleanPod {
    CleanPod {
        pod_id: record.id.to_string(),
        run_dir: machine.places.pod_run(&record.id).to_string_lossy().into_owned(),
        // Only kubelet may kill and remove a cgroup that kubelet made.
        cgroup: Some(machine.cgroup(cgroups::own_path(&record.pod_cgroup(), &record.id))),
        host_interface: record.network.host_interface().to_owned(),
        remove_empty_cgroups: record.made_cgroups.clone(),
        netns: if keep_netns { String::new() } else { record.netns_on_wire() },
        joined_net: record.is_guest(),
    }
}
