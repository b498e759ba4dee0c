// SPDX-License-Identifier: Apache-2.0
//! Removing a container, and with it the pod and the log that the command line made for it.

use crate::client::{Client, Detail};
use crate::failure::refused;
use crate::labels;
use anyhow::Result;
use gorae_proto::cri;
use std::path::Path;

/// Removes a container; a running one is killed, and one that is already gone is fine. If the command line made it, its
/// pod, which holds nothing else, and its log are removed too.
///
/// # Errors
/// When the daemon refuses one of the removals.
pub async fn remove(client: &Client, container: &cri::Container) -> Result<()> {
    let log = match client.container_status(&container.id, Detail::Plain).await {
        Ok(answer) => answer.status.map(|status| status.log_path),
        Err(_) => None,
    };
    let name = labels::display_name(container);
    let request = cri::RemoveContainerRequest { container_id: container.id.clone() };
    client.runtime().remove_container(request).await.map_err(refused(|| format!("remove container {name}")))?;
    if labels::name(&container.labels).is_none() {
        return Ok(());
    }
    remove_pod(client, &container.pod_sandbox_id).await?;
    if let Some(log) = log.filter(|log| !log.is_empty()) {
        remove_log(Path::new(&log));
    }
    Ok(())
}

/// Stops a pod with everything in it. Then it holds no address and no port any more.
///
/// # Errors
/// When the daemon refuses.
pub async fn stop_pod(client: &Client, id: &str) -> Result<()> {
    let request = cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    client.runtime().stop_pod_sandbox(request).await.map_err(refused(|| format!("stop pod {id:.12}")))?;
    Ok(())
}

/// Stops and removes a pod with everything in it.
///
/// # Errors
/// When the daemon refuses.
pub async fn remove_pod(client: &Client, id: &str) -> Result<()> {
    stop_pod(client, id).await?;
    let request = cri::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
    client.runtime().remove_pod_sandbox(request).await.map_err(refused(|| format!("remove pod {id:.12}")))?;
    Ok(())
}

/// Removes a log, its rotated files beside it, and the directory if nothing else is in it. Cleaning logs up is the client's
/// task in the CRI. A file that cannot be removed does no harm, so it stays.
fn remove_log(log: &Path) {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else { return };
    let rotated = format!("{name}.");
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let of_this_log = entry.file_name().to_str().is_some_and(|other| other == name || other.starts_with(&rotated));
        if of_this_log && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
    drop(std::fs::remove_dir(directory));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_log_and_its_rotated_files_are_removed() {
        let dir = tempfile::tempdir().expect("dir");
        let at = |name: &str| dir.path().join("pod").join(name);
        std::fs::create_dir(dir.path().join("pod")).expect("makes");
        for name in ["container.log", "container.log.20261121", "container.logs", "other"] {
            std::fs::write(at(name), "x").expect("writes");
        }
        remove_log(&at("container.log"));
        assert!(!at("container.log").exists() && !at("container.log.20261121").exists());
        assert!(at("container.logs").exists() && at("other").exists());
        for name in ["container.logs", "other"] {
            std::fs::remove_file(at(name)).expect("removes");
        }
        remove_log(&at("container.log"));
        assert!(!dir.path().join("pod").exists());
    }
}
