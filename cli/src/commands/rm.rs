// SPDX-License-Identifier: Apache-2.0
//! `gorae rm`.

use crate::client::Client;
use crate::context::Context;
use crate::{batch, lookup, removal};
use anyhow::{Result, ensure};
use gorae_proto::cri::ContainerState;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kill containers that run
    #[arg(short, long)]
    force: bool,
    /// What Docker calls anonymous volumes goes with its container anyway
    #[arg(short, long, hide = true)]
    volumes: bool,
    /// Containers by name or id
    #[arg(required = true)]
    containers: Vec<String>,
}

/// Removes them with their pods.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    batch::act_on_each(&args.containers, &context.output, batch::AT_ONCE, |name| remove(&client, name, args.force))
        .await
}

async fn remove(client: &Client, name: &str, force: bool) -> Result<()> {
    let container = lookup::container(client, name).await?;
    let running = container.state() == ContainerState::ContainerRunning;
    ensure!(force || !running, "container {name} is running: stop it first, or use -f");
    removal::remove(client, &container).await
}
