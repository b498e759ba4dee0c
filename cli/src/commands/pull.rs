// SPDX-License-Identifier: Apache-2.0
//! `gorae pull`.

use crate::context::Context;
use crate::pulling;
use anyhow::Result;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images by name, such as busybox, ghcr.io/org/app:1.2 or name@sha256:…
    #[arg(required = true)]
    images: Vec<String>,
}

/// Fetches the images one after the other; the layers of each come in parallel.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let mut pulled = Vec::new();
    for image in &args.images {
        pulled.push(pulling::pull(&client, context, image).await?);
    }
    context.output.done(&pulled)?;
    Ok(0)
}
