// SPDX-License-Identifier: Apache-2.0
//! `gorae collect`, which `run -d --rm` starts in the background. The CRI cannot remove a container when it exits, so a
//! process has to wait for that. This one waits for the daemon's events, and survives a restart of the daemon.

use crate::context::Context;
use crate::{exit, lookup, removal};
use anyhow::Result;

/// The arguments of `collect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of a container
    container: String,
}

/// Waits for the container to exit, then removes it.
///
/// # Errors
/// When the container does not exist, or cannot be removed after it has exited.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let container = lookup::container(&client, &args.container).await?;
    // If another client has removed the container, there is nothing left to do.
    if exit::wait(&client, &container.id).await.is_ok() {
        removal::remove(&client, &container).await?;
    }
    Ok(0)
}
