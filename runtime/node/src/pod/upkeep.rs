// SPDX-License-Identifier: Apache-2.0
//! Keeps ready pods usable, and stops those in which no container can be started any more, so that kubelet makes new
//! ones: a pod whose init has ended, whose shared memory was unmounted, or whose lost pins cannot be recreated.

use super::{Pod, State, pins, shared_memory, stop, watch};
use crate::disk;
use crate::ids;
use crate::node::Node;
use std::sync::Arc;

/// Follows the pod's init in its own task, until the init ends; the pod is then stopped.
pub fn follow(node: &Arc<Node>, pod: &Arc<Pod>) {
    let State::Ready(up) = pod.state() else { return };
    let Some(init) = up.init else { return };
    let (node, pod) = (node.clone(), pod.clone());
    tokio::spawn(async move {
        watch::ended(&pod, init).await;
        let _verb = pod.verb.lock().await;
        if pod.is_ready() {
            tracing::error!(pod = ids::short(pod.id()), "the pod's init has ended; stopping the pod");
            give_up(&node, &pod).await;
        }
    });
}

/// Checks the pins of all ready pods, and their shared memory: at the daemon's start, and at each reconcile pass.
pub async fn check_all(node: &Arc<Node>) {
    let places = &node.machine.places;
    let broken = |pod: &Arc<Pod>| shared_memory::is_lost(places, pod) || !pins::missing(places, pod).is_empty();
    let pods: Vec<_> = disk::blocking(|| node.objects.pods.all().into_iter().filter(broken).collect());
    for pod in pods {
        // Another verb is working on the pod, and may be stopping it.
        let Ok(_verb) = pod.verb.try_lock() else { continue };
        mend_or_stop(node, &pod).await;
    }
}

/// Recreates lost pins or stops the pod, for a caller that holds the pod's verb lock.
async fn mend_or_stop(node: &Arc<Node>, pod: &Arc<Pod>) {
    let (machine, short) = (&node.machine, ids::short(pod.id()));
    if disk::blocking(|| shared_memory::is_lost(&machine.places, pod)) {
        // Its containers keep the old mount, which cannot be passed on to a new container.
        tracing::error!(pod = short, "the pod's shared memory was unmounted; stopping the pod");
        return give_up(node, pod).await;
    }
    let lost = disk::blocking(|| pins::missing(&machine.places, pod));
    if lost.is_empty() {
        return;
    }
    let gone = lost.iter().map(|pin| pin.kind.as_str()).collect::<Vec<_>>().join(", ");
    match pins::mend(machine, &node.objects, pod, lost).await {
        Ok(()) => tracing::warn!(pod = short, gone, "pins of the pod's namespaces were lost; pinned them again"),
        Err(error) => {
            tracing::error!(pod = short, gone, %error, "pins of the pod's namespaces were lost; stopping the pod");
            give_up(node, pod).await;
        }
    }
}

/// Stops a pod; if that fails, each reconcile pass continues it.
async fn give_up(node: &Arc<Node>, pod: &Arc<Pod>) {
    // Others wait behind this one, and nobody for its network.
    node.networks.cni.attachments().owe(pod.id()).await;
    if let Err(error) = stop::stop_held(node, pod).await {
        tracing::error!(pod = ids::short(pod.id()), %error, "cannot finish stopping the pod; retrying later");
    }
}
