// SPDX-License-Identifier: Apache-2.0
//! Takes running containers back, and settles what an earlier daemon left half done, behind the open socket.

use super::found::Found;
use super::strays::end_strays;
use crate::container::{self, Container, State};
use crate::disk;
use crate::keeper::Keeper;
use crate::machine::Machine;
use crate::node::Node;
use crate::pod;
use crate::{ids, trash};
use futures_util::future::join_all;
use std::sync::Arc;

/// Takes running containers back and settles everything else; returns when all of it is settled.
pub async fn settle(node: Arc<Node>, found: Found) {
    let containers = node.objects.containers.all();
    join_all(containers.iter().map(|container| take_back(&node.machine, &node.keeper, container))).await;
    pod::upkeep::check_all(&node).await;
    pod::readdress::follow_all_hosts(&node);
    for record in &found.half_made {
        undo(&node, record).await;
    }
    for pod in node.objects.pods.all().into_iter().filter(|p| !p.is_ready()) {
        node.networks.cni.attachments().owe(pod.id()).await;
        if let Err(error) = pod::stop::stop(&node, &pod).await {
            tracing::error!(pod = ids::short(pod.id()), %error, "cannot finish stopping the pod; retrying later");
        }
    }
    end_strays(&node, &found.strays).await;
    trash::empty(node.machine.places.trash()).await;
    node.images.collect();
    tracing::info!(pods = node.objects.pods.len(), containers = node.objects.containers.len(), "everything is settled");
}

/// Looks for the shim of a container that may have one, and settles a change of its limits that was interrupted.
async fn take_back(machine: &Arc<Machine>, keeper: &Arc<Keeper>, container: &Arc<Container>) {
    let may_have_shim = match container.state() {
        State::Starting | State::Running { .. } => true,
        State::Created => disk::blocking(|| machine.places.container_run(&container.record().id).exists()),
        State::Exited(_) => false,
    };
    if may_have_shim {
        keeper.reconnect(container).await;
    }
    container::update::settle_soon(machine, container);
}

/// Undoes a pod that an earlier daemon had begun to make.
async fn undo(node: &Arc<Node>, record: &pod::Record) {
    if let Err(error) = pod::run::undo(&node.machine, &node.networks, record).await {
        tracing::error!(pod = ids::short(&record.id), %error, "cannot undo a half-made pod; listed as not ready");
        pod::run::list_for_clean_up(&node.objects, &node.machine.places, record.clone());
    }
}
