// SPDX-License-Identifier: Apache-2.0
//! Reconciles the node periodically: settles what a start of the daemon would settle. No state of the node should need a
//! restart to be repaired, whatever caused it: a clean-up that failed, a directory removed by hand, an unmounted
//! namespace, a flushed firewall.
//!
//! A pass lists two directories of a tmpfs, looks at the pins of each pod, and asks the kernel for one table and the
//! interfaces. It starts a program only when something is wrong.

use crate::disk;
use crate::ids::{self, Id};
use crate::node::Node;
use crate::objects::Objects;
use crate::places::Places;
use crate::{pod, recover, trash};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Runs until it is aborted.
pub async fn run(node: Arc<Node>) {
    let mut live = node.settings.live.subscribe();
    let mut stale = HashSet::new();
    let mut emptying = tokio::spawn(async {});
    loop {
        let every = live.borrow_and_update().reconcile_every;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            // The interval was changed, and starts over.
            Ok(()) = live.changed() => continue,
        }
        stale = pass(&node, stale).await;
        // Large trees take minutes to delete; nothing else should wait for that.
        if emptying.is_finished() {
            emptying = tokio::spawn(trash::empty(node.machine.places.trash()));
        }
    }
}

async fn pass(node: &Arc<Node>, stale: HashSet<String>) -> HashSet<String> {
    if let Err(error) = disk::blocking(pod::netns::make) {
        tracing::warn!(%error, "cannot repair the directory of network namespaces; retrying at the next pass");
    }
    finish_stops(node).await;
    pod::upkeep::check_all(node).await;
    let strays = disk::blocking(|| without_record(&node.machine.places, &node.objects));
    recover::end_strays(node, &strays).await;
    if let Err(error) = node.networks.people.reconcile().await {
        tracing::error!(%error, "cannot reconcile the networks that people made; retrying at the next pass");
    }
    node.follow_places().await;
    pod::readdress::follow_all_hosts(node);
    node.refresh_names().await;
    match node.networks.builtin.reconcile(&stale).await {
        Ok(stale) => stale,
        Err(error) => {
            tracing::error!(%error, "cannot reconcile the network; retrying at the next pass");
            HashSet::new()
        }
    }
}

/// Continues stops that failed half-way, unless another verb works on the pod.
async fn finish_stops(node: &Arc<Node>) {
    for pod in node.objects.pods.all() {
        if pod.is_ready() || !pod::stop::is_left(&node.machine, &pod.record) {
            continue;
        }
        let Ok(_verb) = pod.verb.try_lock() else { continue };
        node.networks.cni.attachments().owe(pod.id()).await;
        if let Err(error) = pod::stop::stop_held(node, &pod).await {
            tracing::warn!(pod = ids::short(pod.id()), %error, "the pod's stop is still not finished");
        }
    }
}

/// Finds run directories without an object. Every object gets its record before its run directory, and leaves the index
/// after losing it. A directory that cannot be read now does not count as a stray.
fn without_record(places: &Places, objects: &Objects) -> recover::Strays {
    let mut strays = recover::Strays { pods: listed(places, "pods"), containers: listed(places, "containers") };
    strays.pods.retain(|id| is_gone(&places.pod_root(id)) && objects.pods.get(id).is_none());
    strays.containers.retain(|id| is_gone(&places.container_root(id)) && objects.containers.get(id).is_none());
    strays
}

fn listed<K>(places: &Places, what: &str) -> Vec<Id<K>> {
    recover::ids_in(&places.state.join(what)).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot look for strays; retrying at the next pass");
        Vec::new()
    })
}

fn is_gone(dir: &Path) -> bool {
    matches!(dir.try_exists(), Ok(false))
}
