// SPDX-License-Identifier: Apache-2.0
//! Ending a container now, or having it removed when it ends by itself.

use crate::client::Client;
use crate::failure::refused;
use anyhow::{Context, Result};
use gorae_proto::cri;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Seconds between the stop signal and SIGKILL when nothing else was asked for, as with Docker.
pub const GRACE_S: i64 = 10;

/// Stops one container: sends its stop signal, then SIGKILL after `grace_s` seconds. A container that has already
/// exited is left as it is.
///
/// # Errors
/// When the daemon refuses.
pub async fn stop_container(client: &Client, id: &str, grace_s: i64) -> Result<()> {
    let request = cri::StopContainerRequest { container_id: id.to_owned(), timeout: grace_s };
    client.runtime().stop_container(request).await.map_err(refused(|| format!("stop container {id:.12}")))?;
    Ok(())
}

/// Starts `gorae collect` in the background: it waits for the container to exit and then removes it.
///
/// # Errors
/// When the process cannot be started.
pub fn remove_at_end(client: &Client, id: &str) -> Result<()> {
    let program = std::env::current_exe().context("find the program file of gorae")?;
    let mut command = Command::new(program);
    command.args(["--host", &client.host, "collect", id]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
    command.spawn().context("start the background process that removes the container when it exits")?;
    Ok(())
}
