// SPDX-License-Identifier: Apache-2.0
//! `gorae network rm`.

use crate::batch;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{self, refused};
use anyhow::{Result, ensure};
use gorae_proto::gorae::RemoveNetworkRequest;
use tonic::Code;

/// The arguments of `network rm`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A network that does not exist is not an error
    #[arg(short, long)]
    force: bool,
    /// Names or ids of networks
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Removes the networks, one after the other.
///
/// # Errors
/// When the daemon cannot be reached, or the names cannot be printed. A network that cannot be removed is reported by the
/// exit code.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    batch::act_on_each(&args.networks, &context.output, 1, async |name| match remove(&client, name).await {
        Err(error) if args.force && failure::code(&error) == Some(Code::NotFound) => Ok(()),
        other => other,
    })
    .await
}

async fn remove(client: &Client, name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "the name is empty");
    let request = RemoveNetworkRequest { network: name.to_owned() };
    client.networks().remove_network(request).await.map_err(refused(|| format!("remove network {name}")))?;
    Ok(())
}
