// SPDX-License-Identifier: Apache-2.0
//! A container in the foreground: its output here, our signals there, its exit code ours.
//!
//! Without a terminal the output is read from the log file: it holds every byte from the first on, each stream apart,
//! whereas an attach begins somewhere after the start. With a terminal there is only the attach.

use crate::client::Client;
use crate::ending::{GRACE_S, stop_container};
use crate::logs::follow::follow;
use crate::logs::print::{Form, Printer};
use crate::logs::source::Source;
use crate::{exit, failure, output, session};
use anyhow::{Context, Result, bail};
use gorae_proto::cri::{ContainerState, ContainerStatus};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::Code;

/// How often a terminal is attached again after its session broke, and how long is waited for a daemon that is away.
const REATTACHES: u32 = 60;
const REATTACH_AFTER: Duration = Duration::from_millis(250);

/// What this terminal does while the container runs.
#[derive(Debug, Clone, Copy)]
pub struct Foreground {
    /// Standard input goes to the container.
    pub stdin: bool,
    /// The container's terminal is this one.
    pub tty: bool,
}

/// The signals that mean "end it". Listening begins when this is made: from then on they no longer end this program.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Starts to listen.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Stays with a started container until it has exited, and returns its code.
pub async fn stay(client: &Client, id: &str, how: Foreground, interrupts: &mut Interrupts) -> Result<u8> {
    let ended = async {
        let status = if how.tty { terminal(client, id, how).await } else { streams(client, id, how).await }?;
        if status.reason == "OOMKilled" {
            output::remark("gorae: the container was killed because its memory was used up");
        }
        Ok(exit::code(&status))
    };
    tokio::pin!(ended);
    tokio::select! {
        result = &mut ended => result,
        error = stop_on_signals(client, id, interrupts) => match error {
            Ok(()) => ended.await,
            Err(error) => Err(error),
        },
    }
}

/// The first signal stops the container with its grace, the second kills it. Ends when the container was stopped.
async fn stop_on_signals(client: &Client, id: &str, interrupts: &mut Interrupts) -> Result<()> {
    interrupts.next().await;
    tokio::select! {
        result = stop_container(client, id, GRACE_S) => result,
        () = interrupts.next() => stop_container(client, id, 0).await,
    }
}

async fn streams(client: &Client, id: &str, how: Foreground) -> Result<ContainerStatus> {
    let status = client.container_status(id, false).await?.status.context("the daemon gave no status")?;
    let input = async {
        match how.stdin {
            true => session::feed_stdin(client, id).await,
            false => Ok(()),
        }
    };
    let ended = async {
        let wait = exit::wait(client, id);
        tokio::pin!(wait);
        tokio::select! {
            status = &mut wait => return status,
            fed = input => if let Err(error) = fed { output::remark(&format!("gorae: standard input: {error:#}")) },
        }
        wait.await
    };
    let mut printer = Printer::new(std::io::stdout(), std::io::stderr(), 0, Form::Plain);
    match follow(Path::new(&status.log_path), 0, &mut printer, ended).await {
        // `gorae run … | head`: what SIGPIPE would do to the process, if the pipe were its own.
        Err(error) if output::nobody_reads(&error) => {
            stop_container(client, id, 0).await?;
            exit::wait(client, id).await
        }
        other => other,
    }
}

/// Attaches, and again when the session broke: the daemon may have been restarted, and the container runs on.
async fn terminal(client: &Client, id: &str, how: Foreground) -> Result<ContainerStatus> {
    let mut said = false;
    for attempt in 0..REATTACHES {
        let Err(error) = session::attach_terminal(client, id, how.stdin).await else {
            return exit::wait(client, id).await;
        };
        let status = client.container_status(id, false).await.ok().and_then(|answer| answer.status);
        if let Some(status) = status.filter(|status| status.state() == ContainerState::ContainerExited) {
            // Over before anybody could attach: what it wrote is in the log.
            if attempt == 0 && !session::was_open(&error) {
                show_log(Path::new(&status.log_path))?;
            }
            return Ok(status);
        }
        if failure::code(&error).is_some_and(|code| code != Code::Unavailable) {
            return Err(error);
        }
        if !std::mem::replace(&mut said, true) {
            output::remark(&format!("gorae: {error}; the container runs on, attaching again"));
        }
        tokio::time::sleep(REATTACH_AFTER).await;
    }
    bail!("the session broke and cannot be opened again; the container runs on, see gorae attach")
}

fn show_log(path: &Path) -> Result<()> {
    let mut printer = Printer::new(std::io::stdout(), std::io::stderr(), 0, Form::Plain);
    let mut show = || {
        Source::open(path, 0)?.drain(&mut |line| printer.line(line))?;
        printer.flush()
    };
    show().with_context(|| format!("read log {}", path.display()))
}
