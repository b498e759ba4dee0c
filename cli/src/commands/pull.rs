// SPDX-License-Identifier: Apache-2.0
//! `gorae pull`.

use crate::context::Context;
use crate::pulling;
use anyhow::Result;

/// The arguments of `pull`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of images, such as busybox, ghcr.io/org/app:1.2 or NAME@sha256:…
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Pulls the images one after the other; the layers of one image are pulled in parallel.
///
/// # Errors
/// The first pull that fails. The images before it stay, but their names are not printed.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let mut pulled = Vec::new();
    for image in &args.images {
        pulled.push(pulling::pull(&client, context, image).await?);
    }
    context.output.done(&pulled)?;
    Ok(0)
}
