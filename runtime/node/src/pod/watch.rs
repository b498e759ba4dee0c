// SPDX-License-Identifier: Apache-2.0
//! Watches the one process that a pod itself can have: the init of its shared PID namespace. When it dies, the kernel
//! kills every process in the namespace, and no other process can be started there. The pod is then stopped.

use super::{Pod, State, Up};
use crate::ids;
use crate::node::Node;
use crate::process::Process;
use gorae_kernel::process::ProcessId;
use std::sync::Arc;
use std::time::Duration;

/// The pause before another attempt to watch.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether the pod's init is alive.
///
/// - Shapes: true for a pod without an init. A process that cannot be opened for lack of descriptors counts as alive.
pub fn is_alive(up: &Up) -> bool {
    up.init.is_none_or(|init| !matches!(Process::open(init), Ok(None)))
}

/// Follows the pod's init in its own task, until the init ends.
pub fn follow(node: &Arc<Node>, pod: &Arc<Pod>) {
    let State::Ready(up) = pod.state() else { return };
    let Some(init) = up.init else { return };
    let (node, pod) = (node.clone(), pod.clone());
    tokio::spawn(async move {
        ended(&pod, init).await;
        stop(&node, &pod).await;
    });
}

/// Returns when the pod's init has ended, or when the pod is stopped.
async fn ended(pod: &Pod, init: ProcessId) {
    let mut told = false;
    while pod.is_ready() {
        match Process::open(init) {
            Ok(Some(process)) => return process.ended().await,
            Ok(None) => return,
            Err(error) if !told => {
                tracing::error!(pod = ids::short(pod.id()), %error, "cannot watch the pod's init; retrying");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn stop(node: &Arc<Node>, pod: &Arc<Pod>) {
    let _verb = pod.verb.lock().await;
    if !pod.is_ready() {
        return;
    }
    tracing::error!(pod = ids::short(pod.id()), "the pod's init has ended; stopping the pod");
    if let Err(error) = super::stop::stop_held(node, pod).await {
        tracing::error!(pod = ids::short(pod.id()), %error, "cannot finish stopping the pod; retrying later");
    }
}
