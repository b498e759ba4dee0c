// SPDX-License-Identifier: Apache-2.0
//! `gorae attach`.

use crate::client::Client;
use crate::context::Context;
use crate::{exit, lookup, output, session, stored_config};
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri::ContainerState;

/// What was typed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not hand standard input over
    #[arg(long)]
    no_stdin: bool,
    /// A container by name or id
    container: String,
}

/// Connects this terminal, and ends with the container's exit code when the container ended; with 0 when only the
/// session did.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let client = context.connect().await?;
    let container = lookup::container(&client, &args.container).await?;
    ensure!(
        container.state() == ContainerState::ContainerRunning,
        "container {0} is not running: start it with `gorae start {0}`, or see `gorae logs {0}`",
        args.container
    );
    let made = stored_config::container(&client, &container.id).await?;
    let stdin = made.stdin && !args.no_stdin;
    if made.tty {
        session::attach_terminal(&client, &container.id, stdin).await?;
    } else {
        streams(&client, &container.id, stdin).await?;
    }
    let status = client.container_status(&container.id, false).await?.status.context("the daemon gave no status")?;
    Ok(if status.state() == ContainerState::ContainerExited { exit::code(&status) } else { 0 })
}

/// Output and input are sessions of their own: so the end of the input is not the end of the output.
async fn streams(client: &Client, id: &str, stdin: bool) -> Result<()> {
    let input = async {
        if stdin && let Err(error) = session::feed_stdin(client, id).await {
            output::remark(&format!("gorae: standard input: {error:#}"));
        }
        std::future::pending().await
    };
    tokio::select! {
        result = session::watch_output(client, id) => result,
        () = input => Ok(()),
    }
}
