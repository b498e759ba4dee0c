// SPDX-License-Identifier: Apache-2.0
//! Watches the one process that a pod itself can have: the init of its shared PID namespace. When it dies, the kernel
//! kills every process in the namespace, and no other process can be started there.

use super::{Pod, Up};
use crate::ids;
use crate::process::Process;
use gorae_kernel::process::ProcessId;
use std::time::Duration;

/// The pause before another attempt to watch.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether the pod's init is alive.
///
/// - Shapes: true for a pod without an init. A process that cannot be opened for lack of descriptors counts as alive.
pub fn is_alive(up: &Up) -> bool {
    up.init.is_none_or(|init| !matches!(Process::open(init), Ok(None)))
}

/// Returns when the pod's init has ended, or when the pod is stopped.
pub async fn ended(pod: &Pod, init: ProcessId) {
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
