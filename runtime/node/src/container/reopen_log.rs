// SPDX-License-Identifier: Apache-2.0
//! ReopenContainerLog: kubelet has renamed the log, and the shim continues in a new file.

use super::Container;
use crate::error::Result;
use crate::ids;
use std::sync::Arc;

/// Reopens the log; the new file exists when this returns.
///
/// # Errors
/// `FailedPrecondition` when the container is not running, and then no file is made; otherwise the shim's failure.
pub async fn reopen(container: &Arc<Container>) -> Result<()> {
    let title = format!("reopen log of container {}", ids::short(&container.record().id));
    let shim = container.running_shim().map_err(|e| e.during(&title))?;
    Ok(shim.reopen_log().await.map_err(|e| e.during(&title))?)
}
