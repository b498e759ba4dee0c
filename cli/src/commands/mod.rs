// SPDX-License-Identifier: Apache-2.0
//! The commands, one file each: the arguments of the command, and its work. Nothing else in this crate uses these.

mod attach;
mod collect;
mod exec;
mod images;
mod info;
mod inspect;
mod logs;
mod network;
mod pods;
mod port_forward;
mod ps;
mod pull;
mod rm;
mod rmi;
mod run;
mod start;
mod stats;
mod stop;
mod version;

use crate::context::Context;
use anyhow::Result;
use clap::Subcommand;

/// All commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Pull images from a registry
    Pull(pull::Args),
    /// List the images on this machine
    Images(images::Args),
    /// Remove images
    Rmi(rmi::Args),
    /// Run a command in a new container
    Run(Box<run::Args>),
    /// List containers
    Ps(ps::Args),
    /// Show the output of a container
    Logs(logs::Args),
    /// Run a command in a running container
    Exec(exec::Args),
    /// Attach this terminal to a running container
    Attach(attach::Args),
    /// Stop containers
    Stop(stop::Args),
    /// Start stopped containers again
    Start(start::Args),
    /// Remove containers
    Rm(rm::Args),
    /// Show everything about containers, pods or images as JSON
    Inspect(inspect::Args),
    /// Show processor, memory and network use of containers
    Stats(stats::Args),
    /// List pods
    Pods(pods::Args),
    /// Make, list and remove networks, in which containers find each other by name
    Network(network::Args),
    /// Forward local ports to a pod or container
    PortForward(port_forward::Args),
    /// Show the state of the daemon
    Info(info::Args),
    /// Show the versions of gorae and of the daemon
    Version(version::Args),
    /// Wait for a container to exit, then remove it (what `run -d --rm` leaves behind)
    #[command(hide = true)]
    Collect(collect::Args),
}

impl Command {
    /// Runs the command and returns the exit code for the program.
    ///
    /// # Errors
    /// When the command fails. The program then ends with 1, or with the code that the error carries.
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
            Self::Network(args) => network::run(args, context).await,
            Self::PortForward(args) => port_forward::run(args, context).await,
            Self::Info(args) => info::run(args, context).await,
            Self::Version(args) => version::run(args, context).await,
            Self::Collect(args) => collect::run(args, context).await,
        }
    }
}
