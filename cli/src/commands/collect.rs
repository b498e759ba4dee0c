// SPDX-License-Identifier: Apache-2.0
//! `gorae collect`: what `run -d --rm` leaves running in the background. The CRI has no "remove at exit", so somebody
//! has to wait; this waits on the daemon's events and survives a restart of the daemon.

use super::Context;
use crate::{exit, lookup, removal};
use anyhow::{Context as _, Result};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A container by id
    container: String,
}

/// Waits, and removes.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let container = lookup::container(&client, &args.container).await?;
    // A container that somebody else removed needs no removal.
    if exit::wait(&client, &container.id).await.is_ok() {
        removal::remove(&client, &container).await?;
    }
    Ok(0)
}

/// Starts this program again in the background for one container.
pub fn spawn(context: &Context, id: &str) -> Result<()> {
    let program = std::env::current_exe().context("where is this program")?;
    let mut command = Command::new(program);
    command.args(["--host", &context.host, "collect", id]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
    command.spawn().context("start the background process that removes the container at its end")?;
    Ok(())
}
