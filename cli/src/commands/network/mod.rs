// SPDX-License-Identifier: Apache-2.0
//! `gorae network`: one file for each of its commands.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod prune;
mod rm;

use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;

/// The end of `gorae network --help`.
const EXAMPLES: &str = "\
Examples:
  gorae network create back
  gorae run -d --network back --name db postgres
  gorae run --rm --network back busybox ping -c 1 db     They find each other by name
  gorae network rm back";

/// The arguments of `network`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a network and print its id
    Create(create::Args),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Show everything about networks as JSON, in Docker's form
    Inspect(inspect::Args),
    /// Remove networks that no container is in
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    /// Put a container into one more network
    Connect(connect::Args),
    /// Take a container out of a network
    Disconnect(disconnect::Args),
    /// Remove all networks that no container is in
    Prune(prune::Args),
}

/// Runs the command.
///
/// # Errors
/// As the command says.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    match args.command {
        Command::Create(args) => create::run(args, context).await,
        Command::Ls(args) => ls::run(args, context).await,
        Command::Inspect(args) => inspect::run(args, context).await,
        Command::Rm(args) => rm::run(args, context).await,
        Command::Connect(args) => connect::run(args, context).await,
        Command::Disconnect(args) => disconnect::run(args, context).await,
        Command::Prune(args) => prune::run(args, context).await,
    }
}
