// SPDX-License-Identifier: Apache-2.0
//! Exec and attach: bytes between a client's streams and a process, the same over both transports.
//!
//! A session ends with the process, not with any stream: the client ends stdin, and stdout may end long before. After
//! the exit, the outputs are read to their end, or until a child that still holds them has been quiet for the drain
//! time.

use super::inlet::Inlet;
use super::link::Link;
use super::outlet::Outlet;
use super::pipes::Pipes;
use super::pump::{self, EndedBy};
use super::sizes::Sizes;
use super::status::Outcome;
use super::task::Task;
use crate::backend::{Backend, Control, ExecRequest, Process};
use crate::resize::TerminalSize;
use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long a command with a terminal waits for the client to send the terminal's size, which arrives one round trip
/// after the session is open. A client without its own terminal never sends it.
const FIRST_SIZE: Duration = Duration::from_millis(100);
/// How long a process may leave the input of a disconnected client unread.
const DELIVER_REST: Duration = Duration::from_secs(5);
/// A container's outputs ended while it runs. Its shim does this to drop a client that is too far behind.
const CUT_OFF: &str =
    "the outputs ended while the container still runs: this client read too slowly, or the container closed them";

/// The client's side of a session.
#[derive(Debug)]
pub(crate) struct Stdio<'l> {
    pub(crate) stdin: Option<&'l Inlet>,
    pub(crate) resize: Option<&'l Sizes>,
    pub(crate) stdout: Option<Outlet<'l>>,
    pub(crate) stderr: Option<Outlet<'l>>,
}

/// Runs a session up to its result. `None`: the client has disconnected, so nobody needs the result.
pub(crate) async fn run(link: &Link, task: Task, stdio: &Stdio<'_>, backend: &impl Backend) -> Option<Outcome> {
    let process = match start(link, &task, stdio, backend).await {
        Ok(process) => process,
        Err(status) => return Some(task.failed(status.message())),
    };
    let Process { stdin, stdout, stderr, tty, stdin_once, control, exit } = process;
    let pipes = match Pipes::register([stdin, stdout, stderr], tty) {
        Ok(pipes) => pipes,
        Err(error) => return Some(task.failed(&format!("cannot poll stdio: {error}"))),
    };
    let detaches = matches!(task, Task::Attach(_)) && (!stdin_once || task.tty());
    let (exited, silent) = (CancellationToken::new(), CancellationToken::new());
    Running { link, task: &task, stdio, control: control.as_ref(), detaches, exited, silent }.run(pipes, exit).await
}

/// Starts the process. A command with a terminal has its size from the start, if the client sends it soon.
async fn start(link: &Link, task: &Task, stdio: &Stdio<'_>, backend: &impl Backend) -> Result<Process, Status> {
    match task {
        Task::Attach(attach) => backend.attach(attach.clone()).await,
        Task::Exec(exec) => {
            let size = first_size(link, stdio.resize.filter(|_| exec.tty)).await;
            backend.exec(ExecRequest { size, ..exec.clone() }).await
        }
    }
}

/// Waits for the first size. `None` at once without a terminal, and when the client has disconnected.
async fn first_size(link: &Link, sizes: Option<&Sizes>) -> Option<TerminalSize> {
    let sizes = sizes?;
    tokio::select! {
        biased;
        size = sizes.next() => Some(size),
        () = link.gone.cancelled() => None,
        () = link.shutdown.cancelled() => None,
        () = sleep(FIRST_SIZE) => None,
    }
}

/// A running process and its client.
struct Running<'r> {
    link: &'r Link,
    task: &'r Task,
    stdio: &'r Stdio<'r>,
    control: &'r dyn Control,
    /// The end of the client's input ends the session.
    detaches: bool,
    /// The process has ended.
    exited: CancellationToken,
    /// The process, or its shim, has closed every output.
    silent: CancellationToken,
}

impl Running<'_> {
    async fn run(&self, pipes: Pipes, exit: impl Future<Output = Result<i32, Status>>) -> Option<Outcome> {
        let Pipes { stdin, stdout, stderr } = pipes;
        let has_output = stdout.is_some() || stderr.is_some();
        let outputs = async {
            let ended_by = tokio::join!(
                pump::output(self.link, stdout, self.stdio.stdout.as_ref(), &self.exited),
                pump::output(self.link, stderr, self.stdio.stderr.as_ref(), &self.exited),
            );
            if has_output && ended_by == (EndedBy::Process, EndedBy::Process) {
                self.silent.cancel();
            }
        };
        let mut input = pin!(pump::input(self.link, self.stdio.stdin, stdin).fuse());
        tokio::select! {
            biased;
            result = self.ended(exit, outputs) => Some(self.task.ended(result)),
            () = self.link.gone.cancelled() => {
                self.leave(input).await;
                None
            }
            () = self.link.idle() => Some(self.task.failed("idle timeout")),
            () = self.link.shutdown.cancelled() => Some(self.task.failed("the runtime is shutting down")),
            () = self.detached(input.as_mut()) => Some(Outcome::Success),
            () = self.cut_off() => Some(self.task.failed(CUT_OFF)),
            never = self.follow_resizes() => match never {},
        }
    }

    /// Resolves when the process has exited and its outputs are copied.
    async fn ended(
        &self,
        exit: impl Future<Output = Result<i32, Status>>,
        outputs: impl Future<Output = ()>,
    ) -> Result<i32, Status> {
        let exit = async {
            let result = exit.await;
            self.exited.cancel();
            result
        };
        tokio::join!(exit, outputs).0
    }

    /// Resolves when the client has ended the input of a session that ends with it.
    async fn detached(&self, input: impl Future<Output = ()>) {
        input.await;
        if !self.detaches {
            pending().await
        }
    }

    /// Resolves when a container has closed its outputs and does not exit soon after.
    async fn cut_off(&self) {
        match self.task {
            Task::Exec(_) => pending().await,
            Task::Attach(_) => self.silent.cancelled().await,
        }
        sleep(self.link.config.drain).await;
    }

    /// Applies each terminal size that arrives. Never resolves: the end or failure of a resize stream ends nothing
    /// else.
    async fn follow_resizes(&self) -> Infallible {
        let Some(from) = self.stdio.resize else { return pending().await };
        loop {
            self.control.resize(from.next().await).await;
        }
    }

    /// Delivers to the process what the client sent before it disconnected, since some protocols have no other end of
    /// stdin, and hangs up its terminal. A process that reads nothing for a while loses the rest.
    async fn leave(&self, input: Pin<&mut Fuse<impl Future<Output = ()>>>) {
        if let Some(from) = self.stdio.stdin {
            from.end();
            if !input.is_terminated() {
                tokio::select! {
                    () = input => {}
                    () = self.link.stuck(DELIVER_REST) => {}
                }
            }
        }
        if self.task.tty() {
            self.control.hang_up();
        }
    }
}
