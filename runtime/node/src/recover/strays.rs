// SPDX-License-Identifier: Apache-2.0
//! Ends pods and containers that run without a record, because no client can name them.

use crate::ids::{self, ContainerId, PodId};
use crate::machine::Machine;
use crate::node::Node;
use crate::pod::netns;
use crate::trash::remove_quietly;
use gorae_cgroups as cgroups;
use gorae_proto::shim::{CleanContainer, CleanPod};
use gorae_shims as shims;
use std::collections::HashMap;

/// Objects that have only a run directory: their record was damaged, or their removal was interrupted.
#[derive(Debug, Default)]
pub struct Strays {
    /// The ids of pods.
    pub pods: Vec<PodId>,
    /// The ids of containers.
    pub containers: Vec<ContainerId>,
}

/// Ends everything that runs without a record.
pub async fn end_strays(node: &Node, strays: &Strays) {
    let machine = &node.machine;
    end_stray_containers(machine, &strays.containers).await;
    for id in &strays.pods {
        let run_dir = machine.places.pod_run(id);
        let clean = CleanPod {
            pod_id: id.to_string(),
            run_dir: run_dir.to_string_lossy().into_owned(),
            cgroup: gorae_cgroups::pod_path("", id).ok().map(|c| machine.cgroup(c.path)),
            // That of an attachment is needed for its DEL.
            netns: match node.networks.cni.attachments().has(id) {
                true => String::new(),
                false => netns::path(id).to_string_lossy().into_owned(),
            },
            ..CleanPod::default()
        };
        tracing::warn!(pod = ids::short(id), "found a stray pod, which has no record; removing it");
        match shims::clean_pod(&machine.spawner, clean).await {
            Ok(()) => remove_quietly(&run_dir),
            Err(error) => {
                tracing::error!(pod = ids::short(id), %error, "cannot remove the stray pod; retrying later")
            }
        }
    }
}

/// Ends containers that have only a run directory: their shims, if any, and the processes in their cgroups.
async fn end_stray_containers(machine: &Machine, lost: &[ContainerId]) {
    if lost.is_empty() {
        return;
    }
    let (hierarchies, wanted) = (machine.hierarchies.clone(), lost.iter().map(ToString::to_string).collect::<Vec<_>>());
    let places = tokio::task::spawn_blocking(move || cgroups::find_containers(&hierarchies, &wanted)).await;
    let places: HashMap<String, String> = places.unwrap_or_default().into_iter().collect();
    for id in lost {
        tracing::warn!(container = ids::short(id), "found a stray container, which has no record; ending it");
        let run_dir = machine.places.container_run(id);
        // If no hierarchy has its cgroup, only its shim can be left.
        let path = places.get(id.as_str()).cloned().unwrap_or_else(|| format!("{}/{id}", cgroups::DEFAULT_PARENT));
        let clean = CleanContainer {
            container_id: id.to_string(),
            run_dir: run_dir.to_string_lossy().into_owned(),
            cgroup: Some(machine.cgroup(path)),
            // Its hooks were in its record.
            ..CleanContainer::default()
        };
        match shims::clean_container(&machine.spawner, clean).await {
            Ok(_) => remove_quietly(&run_dir),
            Err(error) => {
                tracing::error!(container = ids::short(id), %error, "cannot end the stray container; retrying later")
            }
        }
    }
}
