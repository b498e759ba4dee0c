// SPDX-License-Identifier: Apache-2.0
//! A container in the foreground: its output comes here, our signals go there, and its exit code becomes ours.
//!
//! Without a terminal, output is read from the log file: that has every byte from the first one on and keeps the streams
//! apart, whereas an attach begins somewhere after the start. With a terminal, attaching is the only way.

use crate::client::{Client, Detail};
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

/// Attempts to attach a terminal again after its session broke. With the pause between them they allow a restarting
/// daemon 15 seconds.
const REATTACHES: u32 = 60;
/// Pause between two of these attempts.
const REATTACH_AFTER: Duration = Duration::from_millis(250);

/// How this terminal is used while the container runs.
#[derive(Debug, Clone, Copy)]
pub struct Foreground {
    /// Whether standard input goes to the container.
    pub stdin: bool,
    /// Whether the container has a terminal, which this one then shows.
    pub tty: bool,
}

/// The signals that ask the program to end (SIGINT and SIGTERM). Once this exists, they no longer end the program.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Starts listening.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Stays with a started container until it has exited, and returns its exit code.
///
/// # Errors
/// When the daemon refuses, the log cannot be read, or the terminal cannot be attached. The container may then still run.
pub async fn stay(client: &Client, id: &str, how: Foreground, interrupts: &mut Interrupts) -> Result<u8> {
    let ended = async {
        let status = if how.tty { terminal(client, id, how).await } else { streams(client, id, how).await }?;
        if status.reason == "OOMKilled" {
            output::remark("gorae: the container was killed because it ran out of memory");
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

/// Waits for signals: the first one stops the container with its grace period, the second one kills it. Returns when the
/// container has been stopped.
async fn stop_on_signals(client: &Client, id: &str, interrupts: &mut Interrupts) -> Result<()> {
    interrupts.next().await;
    tokio::select! {
        result = stop_container(client, id, GRACE_S) => result,
        () = interrupts.next() => stop_container(client, id, 0).await,
    }
}

async fn streams(client: &Client, id: &str, how: Foreground) -> Result<ContainerStatus> {
    let status =
        client.container_status(id, Detail::Plain).await?.status.context("the daemon's response has no status")?;
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
        // `gorae run … | head`: do what SIGPIPE would do to the process if it wrote to the pipe itself.
        Err(error) if output::reader_is_gone(&error) => {
            stop_container(client, id, 0).await?;
            exit::wait(client, id).await
        }
        other => other,
    }
}

/// Attaches, and attaches again when the session breaks: the container keeps running while the daemon restarts.
async fn terminal(client: &Client, id: &str, how: Foreground) -> Result<ContainerStatus> {
    let mut said = false;
    for attempt in 0..REATTACHES {
        let Err(error) = session::attach_terminal(client, id, how.stdin).await else {
            return exit::wait(client, id).await;
        };
        let status = client.container_status(id, Detail::Plain).await.ok().and_then(|answer| answer.status);
        if let Some(status) = status.filter(|status| status.state() == ContainerState::ContainerExited) {
            // It exited before we could attach: what it wrote is in the log.
            if attempt == 0 && !session::was_open(&error) {
                show_log(Path::new(&status.log_path))?;
            }
            return Ok(status);
        }
        if failure::code(&error).is_some_and(|code| code != Code::Unavailable) {
            return Err(error);
        }
        if !std::mem::replace(&mut said, true) {
            output::remark(&format!("gorae: {error}; the container keeps running, attaching again"));
        }
        tokio::time::sleep(REATTACH_AFTER).await;
    }
    bail!("the session broke and cannot be opened again; the container keeps running: use `gorae attach`")
}

fn show_log(path: &Path) -> Result<()> {
    let mut printer = Printer::new(std::io::stdout(), std::io::stderr(), 0, Form::Plain);
    let mut show = || {
        Source::open(path, 0)?.drain(&mut |line| printer.line(line))?;
        printer.flush()
    };
    show().with_context(|| format!("read log {}", path.display()))
}
