// SPDX-License-Identifier: Apache-2.0
//! `gorae collect`: what `run -d --rm` leaves running in the background. The CRI has no "remove at exit", so somebody
//! has to wait; this waits on the daemon's events and survives a restart of the daemon.

use crate::context::Context;
use crate::{exit, lookup, removal};
use anyhow::Result;

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
