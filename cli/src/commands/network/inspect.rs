// SPDX-License-Identifier: Apache-2.0
//! `gorae network inspect`.

use crate::context::Context;
use crate::networks::{self, docker_form};
use crate::parse::network::shown;
use anyhow::{Context as _, Result};

/// The arguments of `network inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or ids of networks
    #[arg(required = true, value_name = "NETWORK")]
    names: Vec<String>,
}

/// Prints a JSON list with one object for each name. There is no table for this, so `--format` changes nothing.
///
/// # Errors
/// When a name matches no network or is ambiguous, or the daemon refuses. Then nothing is printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let containers = client.containers().await?;
    let mut found = Vec::new();
    for name in &args.names {
        let network =
            networks::find(&client, shown(name)).await?.with_context(|| format!("no such network: {name:?}"))?;
        found.push(docker_form::network(&network, &containers));
    }
    context.output.json(&found)?;
    Ok(0)
}
