// SPDX-License-Identifier: Apache-2.0
//! `gorae port-forward`.

use crate::context::Context;
use crate::parse::port::{Forward, forward};
use crate::{lookup, session};
use anyhow::Result;
use std::net::IpAddr;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// A pod or container by name or id
    pod: String,
    /// Ports: PORT, LOCAL:REMOTE or :REMOTE
    #[arg(required = true)]
    ports: Vec<String>,
}

/// Listens until it is interrupted.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let ports: Vec<Forward> = args.ports.iter().map(|text| forward(text)).collect::<Result<_>>()?;
    let client = context.connect().await?;
    let pod = lookup::pod(&client, &args.pod).await?;
    session::forward(&client, &pod, args.address, &ports).await?;
    Ok(0)
}
