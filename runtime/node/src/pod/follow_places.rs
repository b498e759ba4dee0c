// SPDX-License-Identifier: Apache-2.0
//! Has what is recorded of running pods follow their places in networks where a killed daemon, or a failure, has left that undone.

use super::readdress::{addresses, close_ports, leads_ports, published, readdress};
use super::{Network, Pod, State};
use crate::error::Result;
use crate::ids;
use crate::node::Node;
use std::sync::Arc;

impl Node {
    /// Has the host ports and addresses of all pods follow their places where a killed daemon, or a failure, has left that
    /// undone. To be called before an address that was freed can be another pod's; a failure is logged, for the next call.
    pub async fn follow_places(self: &Arc<Self>) {
        for pod in self.objects.pods.all() {
            // Another verb is working on the pod.
            let Ok(_verb) = pod.verb.try_lock() else { continue };
            if let Err(error) = follow_places(self, &pod).await {
                tracing::warn!(pod = ids::short(pod.id()), %error, "the pod's host ports do not follow its networks yet");
            }
        }
    }
}

/// The same for one pod, whose verb lock the caller holds. It costs nothing when all is well.
///
/// # Errors
/// As [`readdress`].
pub async fn follow_places(node: &Arc<Node>, pod: &Pod) -> Result<()> {
    if !is_behind(node, pod) {
        return Ok(());
    }
    tracing::info!(pod = ids::short(pod.id()), "leading the pod's host ports to where it is in networks now");
    close_ports(node, &pod.record).await?;
    readdress(node, pod, &[]).await
}

/// Whether the record of a pod that is only in networks that people made says otherwise than its places.
fn is_behind(node: &Node, pod: &Pod) -> bool {
    let (State::Ready(up), record) = (pod.state(), &pod.record) else { return false };
    if !matches!(record.network, Network::People) || node.networks.people.is_damaged(&record.id) {
        return false;
    }
    let ports = || leads_ports(record) && up.published.as_ref() != Some(&published(&node.networks, record));
    up.addresses != addresses(node, record, &up.addresses, &[]) || ports()
}
