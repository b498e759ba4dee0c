// SPDX-License-Identifier: Apache-2.0
//! `gorae attach`.

use crate::client::{Client, Detail};
use crate::context::Context;
use crate::{exit, lookup, output, session, stored_config};
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri::ContainerState;

/// The arguments of `attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not pass standard input to the container
    #[arg(long)]
    no_stdin: bool,
    /// Name or id of a container
    container: String,
}

/// Attaches this terminal. Ends with the container's exit code if the container has exited, or with 0 if only the session
/// has ended.
///
/// # Errors
/// When the container does not exist or is not running, and when a session fails.
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
    let status = client
        .container_status(&container.id, Detail::Plain)
        .await?
        .status
        .context("the daemon's response has no status")?;
    Ok(if status.state() == ContainerState::ContainerExited { exit::code(&status) } else { 0 })
}

/// Attaches output and input in separate sessions, so that the end of the input does not end the output.
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
