// SPDX-License-Identifier: Apache-2.0
//! The commands, one file each: its arguments as typed, and what it does with the daemon.

mod attach;
pub mod collect;
mod exec;
mod images;
mod info;
mod inspect;
mod logs;
mod pods;
mod port_forward;
mod ps;
mod pull;
mod rm;
mod rmi;
pub mod run;
mod start;
mod stats;
pub mod stop;
mod version;

use crate::client::Client;
use crate::environment::Environment;
use crate::output::Output;
use anyhow::Result;
use clap::Subcommand;
use futures_util::StreamExt;

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// Where the daemon listens.
    pub host: String,
    /// How to print.
    pub output: Output,
    /// What the program was started with.
    pub environment: Environment,
}

impl Context {
    /// Connects to the daemon.
    pub async fn connect(&self) -> Result<Client> {
        Client::connect(&self.host).await
    }
}

/// The command that was typed.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch an image from a registry
    Pull(pull::Args),
    /// List the images on this machine
    Images(images::Args),
    /// Remove images
    Rmi(rmi::Args),
    /// Run a command in a new container
    Run(Box<run::Args>),
    /// List containers
    Ps(ps::Args),
    /// Show what a container has written
    Logs(logs::Args),
    /// Run a command in a running container
    Exec(exec::Args),
    /// Connect this terminal to a running container
    Attach(attach::Args),
    /// Stop containers
    Stop(stop::Args),
    /// Start exited containers again
    Start(start::Args),
    /// Remove containers
    Rm(rm::Args),
    /// Show everything about containers, pods or images, as JSON
    Inspect(inspect::Args),
    /// Show what containers use
    Stats(stats::Args),
    /// List pods
    Pods(pods::Args),
    /// Reach a pod's ports from this machine
    PortForward(port_forward::Args),
    /// Show the state of the daemon and of this machine
    Info(info::Args),
    /// Show the versions of gorae and of the daemon
    Version(version::Args),
    /// Wait for a container to exit, then remove it (what `run -d --rm` leaves behind)
    #[command(hide = true)]
    Collect(collect::Args),
}

impl Command {
    /// Does it, and gives the program's exit code.
    pub async fn run(self, context: &Context) -> Result<u8> {
        match self {
            Self::Pull(args) => pull::run(args, context).await,
            Self::Images(args) => images::run(args, context).await,
            Self::Rmi(args) => rmi::run(args, context).await,
            Self::Run(args) => run::run(*args, context).await,
            Self::Ps(args) => ps::run(args, context).await,
            Self::Logs(args) => logs::run(args, context).await,
            Self::Exec(args) => exec::run(args, context).await,
            Self::Attach(args) => attach::run(args, context).await,
            Self::Stop(args) => stop::run(args, context).await,
            Self::Start(args) => start::run(args, context).await,
            Self::Rm(args) => rm::run(args, context).await,
            Self::Inspect(args) => inspect::run(args, context).await,
            Self::Stats(args) => stats::run(args, context).await,
            Self::Pods(args) => pods::run(args, context).await,
            Self::PortForward(args) => port_forward::run(args, context).await,
            Self::Info(args) => info::run(args, context).await,
            Self::Version(args) => version::run(args, context).await,
            Self::Collect(args) => collect::run(args, context).await,
        }
    }
}

/// How many containers are stopped at the same time: enough that none waits for the grace of another, few enough to leave
/// the daemon room.
const AT_ONCE: usize = 16;

/// Does one thing to each of several objects, to so many of them at once: the later ones are tried although an earlier one
/// failed.
///
/// - Shapes: the names come out in the order in which they were typed.
/// - Errors: all of them, before the names that worked are printed.
async fn each<'a, F: Future<Output = Result<()>>>(
    names: &'a [String],
    output: &Output,
    at_once: usize,
    act: impl Fn(&'a str) -> F,
) -> Result<u8> {
    let (mut done, mut failed) = (Vec::new(), 0_usize);
    let mut results = futures_util::stream::iter(names).map(async |name| (name, act(name).await)).buffered(at_once);
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(()) => done.push(name.clone()),
            Err(error) => {
                failed += 1;
                crate::output::remark(&format!("gorae: {error:#}"));
            }
        }
    }
    output.done(&done)?;
    Ok(u8::from(failed > 0))
}
