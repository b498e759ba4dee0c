// SPDX-License-Identifier: Apache-2.0
//! `gorae rm`.

use crate::client::Client;
use crate::context::Context;
use crate::{batch, lookup, removal};
use anyhow::{Result, ensure};
use gorae_proto::cri::ContainerState;

/// The arguments of `rm`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kill running containers first
    #[arg(short, long)]
    force: bool,
    /// Accepted for Docker's sake: a container's own files are always removed with it
    #[arg(short, long, hide = true)]
    volumes: bool,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Removes the containers with their pods, several at a time.
///
/// # Errors
/// When the daemon cannot be reached, or the names cannot be printed. A container that cannot be removed is
/// reported by the exit code.
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
