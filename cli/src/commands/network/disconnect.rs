// SPDX-License-Identifier: Apache-2.0
//! `gorae network disconnect`.

use crate::context::Context;
use crate::failure::refused;
use crate::lookup;
use crate::parse::network;
use anyhow::{Result, bail};
use gorae_proto::gorae::DisconnectNetworkRequest;

/// The arguments of `network disconnect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A container or network that does not exist is not an error, nor a container that is not in the network
    #[arg(short, long)]
    force: bool,
    /// Name or id of a network
    network: String,
    /// Name or id of a container
    container: String,
}

/// Takes the container out of the network, whether it runs or not.
///
/// # Errors
/// When there is no such container, or the daemon refuses.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let network = network::changeable(&args.network)?.to_owned();
    let client = context.connect().await?;
    let pod_id = match lookup::container_if_any(&client, &args.container).await? {
        Some(container) => container.pod_sandbox_id,
        None if args.force => return Ok(0),
        None => bail!("no such container: {:?}", args.container),
    };
    let request = DisconnectNetworkRequest { pod_id, network, force: args.force };
    let tried = || format!("disconnect container {} from network {}", args.container, args.network);
    client.networks().disconnect_network(request).await.map_err(refused(tried))?;
    Ok(0)
}
