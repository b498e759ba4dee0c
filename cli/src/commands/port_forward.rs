// SPDX-License-Identifier: Apache-2.0
//! `gorae port-forward`.

use crate::context::Context;
use crate::parse::port::{Forward, forward};
use crate::{lookup, session};
use anyhow::Result;
use std::net::IpAddr;

/// The arguments of `port-forward`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Local address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// Name or id of a pod or container
    pod: String,
    /// Port to forward: PORT, LOCAL:REMOTE, or :REMOTE to listen on a free port
    #[arg(required = true, value_name = "PORT")]
    ports: Vec<String>,
}

/// Forwards the ports until the program is interrupted.
///
/// # Errors
/// When a port is malformed, the pod does not exist, or a local port cannot be listened on.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let ports: Vec<Forward> = args.ports.iter().map(|text| forward(text)).collect::<Result<_>>()?;
    let client = context.connect().await?;
    let pod = lookup::pod(&client, &args.pod).await?;
    session::forward(&client, &pod, args.address, &ports).await?;
    Ok(0)
}
