// SPDX-License-Identifier: Apache-2.0
//! `gorae stop`.

use crate::client::Client;
use crate::context::Context;
use crate::ending::{GRACE_S, stop_container};
use crate::failure::refused;
use crate::{batch, labels, lookup};
use anyhow::Result;
use gorae_proto::cri;

/// The arguments of `stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds to wait after the stop signal before killing the container
    #[arg(short = 't', long, alias = "timeout", value_name = "SECONDS", default_value_t = GRACE_S, value_parser = clap::value_parser!(i64).range(0..=86_400))]
    time: i64,
    /// Names or ids of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Stops the containers, several at a time.
///
/// # Errors
/// When the daemon cannot be reached, or the names cannot be printed. A container that cannot be stopped is
/// reported by the exit code.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    batch::act_on_each(&args.containers, &context.output, batch::AT_ONCE, |name| stop(&client, name, args.time)).await
}

async fn stop(client: &Client, name: &str, grace_s: i64) -> Result<()> {
    let container = lookup::container(client, name).await?;
    stop_container(client, &container.id, grace_s).await?;
    if labels::name(&container.labels).is_some() {
        // Our pods hold one container. Stopping the pod too frees its address and host ports, as with Docker.
        let request = cri::StopPodSandboxRequest { pod_sandbox_id: container.pod_sandbox_id };
        client.runtime().stop_pod_sandbox(request).await.map_err(refused(|| format!("stop the pod of {name}")))?;
    }
    Ok(())
}
