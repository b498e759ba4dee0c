// SPDX-License-Identifier: Apache-2.0
//! `gorae run`: its arguments, which are checked before the daemon is asked for anything.

mod args;
mod network;
mod spec;

pub use args::Args;

use crate::context::Context;
use crate::failure::{OWN_FAILURE, with_code};
use crate::foreground::Foreground;
use crate::{resolving, running};
use anyhow::{Result, bail, ensure};
use spec::spec;

/// Runs the command. A failure of Gorae ends with 125, so that it cannot be taken for one of the container.
///
/// # Errors
/// On wrong usage, and when the image cannot be pulled, the container cannot be created or started, or the session
/// fails. The code is 125 unless the error carries another.
pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let work = async {
        let foreground = foreground(&args)?;
        let mut spec = spec(&args, &context.environment)?;
        if let Some(why) = network::ignored_ports(&args, &spec.network) {
            context.output.remark(&format!("gorae: {why}"));
        }
        let client = context.connect().await?;
        resolving::resolve(&client, context, &mut spec, args.pull, args.name.is_some()).await?;
        running::run(&client, context, &spec, foreground, args.rm).await
    };
    work.await.map_err(|error| match error.downcast::<crate::failure::Failure>() {
        Ok(failure) => failure.into(),
        Err(error) => with_code(OWN_FAILURE)(error),
    })
}

fn foreground(args: &Args) -> Result<Option<Foreground>> {
    use std::io::IsTerminal;
    if args.restart.as_deref().is_some_and(|policy| policy != "no") {
        bail!("--restart is not supported: gorae starts a container once; let systemd or a kubelet restart it");
    }
    if args.detach {
        return Ok(None);
    }
    ensure!(
        !(args.tty && args.interactive) || std::io::stdin().is_terminal(),
        "-t needs a terminal on standard input; leave out -t when the input is a file or a pipe"
    );
    Ok(Some(Foreground { stdin: args.interactive, tty: args.tty }))
}

#[cfg(test)]
mod tests;
