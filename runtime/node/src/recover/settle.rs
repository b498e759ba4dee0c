// SPDX-License-Identifier: Apache-2.0
//! Takes running containers back, and settles what an earlier daemon left half done, behind the open socket.

use super::found::Found;
use super::strays::end_strays;
use crate::container::{self, State};
use crate::node::Node;
use crate::pod::{self, Pod};
use crate::{ids, records, trash};
use std::sync::Arc;

/// Takes running containers back and settles everything else; returns when all of it is settled.
pub async fn settle(node: Arc<Node>, found: Found) {
    let shims = node.objects.containers.all().into_iter().map(|container| {
        let node = node.clone();
        async move {
            match container.state() {
                State::Starting | State::Running { .. } => node.keeper.reconnect(&container).await,
                State::Created if node.machine.places.container_run(&container.record().id).exists() => {
                    node.keeper.reconnect(&container).await;
                }
                _ => {}
            }
            container::update::settle_soon(&node, &container);
        }
    });
    futures_util::future::join_all(shims).await;
    pod::pins::check_all(&node).await;
    for record in &found.half_made {
        if let Err(error) = pod::run::undo(&node, record).await {
            tracing::error!(pod = ids::short(&record.id), %error, "cannot undo a half-made pod; listed as not ready");
            let _ = records::commit(&node.machine.places.pod_root(&record.id), "record");
            node.objects.pods.insert(Pod::new(record.clone(), pod::State::NotReady));
        }
    }
    for pod in node.objects.pods.all().into_iter().filter(|p| !p.is_ready()) {
        if let Err(error) = pod::stop::stop(&node, &pod).await {
            tracing::error!(pod = ids::short(pod.id()), %error, "cannot finish stopping the pod; retrying later");
        }
    }
    end_strays(&node, &found.strays).await;
    trash::empty(node.machine.places.trash()).await;
    node.images.collect();
    tracing::info!(pods = node.objects.pods.len(), containers = node.objects.containers.len(), "everything is settled");
}
