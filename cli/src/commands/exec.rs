// SPDX-License-Identifier: Apache-2.0
//! `gorae exec`.

use crate::context::Context;
use crate::failure::{OWN_FAILURE, with_code};
use crate::lookup;
use crate::session;
use crate::streaming::Streams;
use anyhow::{Context as _, Result, ensure};
use gorae_proto::cri::ContainerState;
use std::io::IsTerminal;

/// The arguments of `exec`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pass standard input to the command
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal (use -it for a shell)
    #[arg(short, long)]
    tty: bool,
    /// Not supported: the CRI cannot set variables for one command
    #[arg(short, long, value_name = "VARIABLE", hide = true)]
    env: Vec<String>,
    /// Not supported: the CRI runs every command in the container's working directory
    #[arg(short, long, value_name = "DIRECTORY", hide = true)]
    workdir: Option<String>,
    /// Not supported: the CRI runs every command as the container's user
    #[arg(short, long, hide = true)]
    user: Option<String>,
    /// Not supported: a command of the CRI's exec ends with its session
    #[arg(short, long, hide = true)]
    detach: bool,
    /// Name or id of a container, then the command and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
    container_and_command: Vec<String>,
}

/// Runs the command and ends with its exit code. As with Docker, wrong usage ends with 125, and any other failure before
/// the command runs ends with 1.
///
/// # Errors
/// When an option is given that the CRI's exec lacks, with code 125. When the container does not exist or is not
/// running, when there is no terminal for `-t`, and when the session fails.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    check(&args).map_err(with_code(OWN_FAILURE))?;
    let (name, command) = args.container_and_command.split_first().context("the container is missing")?;
    ensure!(!command.is_empty(), "the command is missing");
    let client = context.connect().await?;
    let container = lookup::container(&client, name).await?;
    ensure!(
        container.state() == ContainerState::ContainerRunning,
        "container {name} is not running: start it with `gorae start {name}`"
    );
    ensure!(
        !(args.tty && args.interactive) || std::io::stdin().is_terminal(),
        "-t needs a terminal on standard input; leave out -t when the input is a file or a pipe"
    );
    let streams = Streams { stdin: args.interactive, tty: args.tty };
    session::exec(&client, &container.id, command.to_vec(), streams).await
}

fn check(args: &Args) -> Result<()> {
    ensure!(
        args.env.is_empty(),
        "-e is not supported by the CRI's exec: write `exec CONTAINER env KEY=VALUE COMMAND …`"
    );
    ensure!(
        args.workdir.is_none(),
        "-w is not supported by the CRI's exec: write `exec CONTAINER sh -c 'cd DIRECTORY && exec COMMAND …'`"
    );
    ensure!(
        !args.detach,
        "-d is not supported by the CRI's exec: write `exec CONTAINER sh -c 'COMMAND … >/dev/null 2>&1 &'`"
    );
    ensure!(args.user.is_none(), "-u is not supported by the CRI's exec: the command runs as the container's user");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_the_cri_cannot_do_is_refused_with_a_way_out() {
        for (words, way_out) in [
            ("-e A=1 c ls", "env KEY=VALUE"),
            ("-w / c ls", "cd DIRECTORY"),
            ("-u 0 c ls", "container's user"),
            ("-d c ls", "sh -c 'COMMAND"),
        ] {
            let args = Typed::try_parse_from(std::iter::once("exec").chain(words.split(' '))).expect(words).args;
            assert!(check(&args).expect_err(words).to_string().contains(way_out), "{words}");
        }
    }

    #[test]
    fn options_after_the_container_belong_to_the_command() {
        let args = Typed::try_parse_from(["exec", "-i", "web", "ls", "-i", "--tty"]).expect("valid").args;
        assert_eq!(args.container_and_command, ["web", "ls", "-i", "--tty"]);
        assert!(args.interactive && !args.tty);
        assert!(Typed::try_parse_from(["exec", "web"]).is_err());
    }
}
