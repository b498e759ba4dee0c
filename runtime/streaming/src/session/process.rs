// SPDX-License-Identifier: Apache-2.0
//! Exec and attach: bytes between a client's streams and a process, the same over both transports.
//!
//! The end of a session is the end of the process, not of any stream: stdin ends when the client says so, and
//! stdout may end long before. After the exit the outputs are read to their end, or until a child that still holds
//! them has been quiet for the drain time.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Fuse, FusedFuture};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::inlet::Inlet;
use super::link::Link;
use super::outlet::Outlet;
use super::sizes::Sizes;
use super::status::Outcome;
use crate::{AttachRequest, Backend, Control, ExecRequest, Process, TerminalSize};

/// What the RPC asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run a command.
    Exec(ExecRequest),
    /// Take part in a container's stdio.
    Attach(AttachRequest),
}

impl Task {
    pub(crate) fn tty(&self) -> bool {
        match self {
            Self::Exec(exec) => exec.tty,
            Self::Attach(attach) => attach.tty,
        }
    }

    /// Wanted stdin, stdout and stderr.
    pub(crate) fn streams(&self) -> [bool; 3] {
        match self {
            Self::Exec(exec) => [exec.stdin, exec.stdout, exec.stderr],
            Self::Attach(attach) => [attach.stdin, attach.stdout, attach.stderr],
        }
    }

    /// Names a failure as clients know it.
    pub(crate) fn failed(&self, detail: &str) -> Outcome {
        match self {
            Self::Exec(_) => Outcome::exec_failed(detail),
            Self::Attach(_) => Outcome::attach_failed(detail),
        }
    }
}

/// The client's side of a session.
#[derive(Debug)]
pub(crate) struct Stdio<'l> {
    pub(crate) stdin: Option<&'l Inlet>,
    pub(crate) resize: Option<&'l Sizes>,
    pub(crate) stdout: Option<Outlet<'l>>,
    pub(crate) stderr: Option<Outlet<'l>>,
}

/// How long a command with a terminal waits for the client to say the terminal's size, which it does a way there and
/// back after the session is open. A client without a terminal of its own never does.
const FIRST_SIZE: Duration = Duration::from_millis(100);

/// How long a process may read nothing of the input of a client that left.
const DELIVER_REST: Duration = Duration::from_secs(5);

/// A container's outputs ended and it did not, which is how its shim drops a client that is too far behind.
const CUT_OFF: &str =
    "the outputs ended and the container goes on: this client read too slowly, or the container closed them";

type Descriptor = AsyncFd<OwnedFd>;

/// The process's side, ready for the event loop.
struct Ends {
    stdin: Option<Arc<Descriptor>>,
    stdout: Option<Arc<Descriptor>>,
    stderr: Option<Arc<Descriptor>>,
}

/// Runs a session up to its result. `None`: the client has left, and nobody is there to tell.
pub(crate) async fn run(link: &Link, task: Task, stdio: &Stdio<'_>, backend: &impl Backend) -> Option<Outcome> {
    let process = match start(link, &task, stdio, backend).await {
        Ok(process) => process,
        Err(status) => return Some(task.failed(status.message())),
    };
    let Process { stdin, stdout, stderr, tty, stdin_once, control, exit } = process;
    let ends = match Ends::register(stdin, stdout, stderr, tty) {
        Ok(ends) => ends,
        Err(error) => return Some(task.failed(&format!("stdio cannot be watched: {error}"))),
    };
    let (exited, silent) = (CancellationToken::new(), CancellationToken::new());
    let watches = matches!(task, Task::Attach(_)) && (ends.stdout.is_some() || ends.stderr.is_some());
    let output = async {
        let ends = tokio::join!(
            pump_out(link, ends.stdout, stdio.stdout.as_ref(), &exited),
            pump_out(link, ends.stderr, stdio.stderr.as_ref(), &exited),
        );
        if watches && ends == (End::Process, End::Process) {
            silent.cancel();
        }
    };
    let cut_off = async {
        silent.cancelled().await;
        sleep(link.config.drain).await;
    };
    let exit = async {
        let result = exit.await;
        exited.cancel();
        result
    };
    let ended = async { tokio::join!(exit, output).0 };
    let resize = follow_resizes(stdio.resize, control.as_ref());
    let mut stdin = pin!(pump_in(link, stdio.stdin, ends.stdin).fuse());
    let detached = async {
        stdin.as_mut().await;
        if matches!(task, Task::Exec(_)) || (stdin_once && !task.tty()) {
            pending().await
        }
    };
    tokio::select! {
        biased;
        result = ended => Some(outcome(&task, result)),
        () = link.gone.cancelled() => {
            deliver_rest(link, stdio.stdin, stdin).await;
            if task.tty() {
                control.hang_up();
            }
            None
        }
        () = link.idle() => Some(task.failed("idle timeout")),
        () = link.shutdown.cancelled() => Some(task.failed("the runtime is shutting down")),
        () = detached => Some(Outcome::Success),
        () = cut_off => Some(task.failed(CUT_OFF)),
        never = resize => match never {},
    }
}

/// Gives the process the input that a client sent before it left: some protocols have no other end of stdin.
async fn deliver_rest(link: &Link, from: Option<&Inlet>, pump: Pin<&mut Fuse<impl Future<Output = ()>>>) {
    let Some(from) = from else { return };
    from.end();
    if !pump.is_terminated() {
        // A process that reads nothing for a while loses the rest: its client is gone.
        tokio::select! {
            () = pump => {}
            () = link.stuck(DELIVER_REST) => {}
        }
    }
}

/// Starts the process. A command with a terminal is given its size from the start, if the client says it soon.
async fn start(link: &Link, task: &Task, stdio: &Stdio<'_>, backend: &impl Backend) -> Result<Process, Status> {
    match task {
        Task::Attach(attach) => backend.attach(attach.clone()).await,
        Task::Exec(exec) => {
            let size = first_size(link, stdio.resize.filter(|_| exec.tty)).await;
            backend.exec(ExecRequest { size, ..exec.clone() }).await
        }
    }
}

/// `None` at once without a terminal, and when the client has left.
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

fn outcome(task: &Task, result: Result<i32, Status>) -> Outcome {
    match (task, result) {
        (_, Err(status)) => task.failed(status.message()),
        (Task::Attach(_), Ok(_)) | (_, Ok(0)) => Outcome::Success,
        (Task::Exec(exec), Ok(code)) => {
            let command = exec.command.first().map_or("", String::as_str).chars().take(128).collect();
            Outcome::ExitCode { code, command }
        }
    }
}

impl Ends {
    fn register(
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
        tty: Option<OwnedFd>,
    ) -> io::Result<Self> {
        let register = |fd: Option<OwnedFd>| fd.map(descriptor).transpose();
        if let Some(both) = register(tty)? {
            return Ok(Self { stdin: Some(both.clone()), stdout: Some(both), stderr: None });
        }
        Ok(Self { stdin: register(stdin)?, stdout: register(stdout)?, stderr: register(stderr)? })
    }
}

/// Puts a descriptor into the event loop.
#[expect(deprecated, reason = "the replacement is unsafe for types that swap their descriptor; an OwnedFd does not")]
fn descriptor(fd: OwnedFd) -> io::Result<Arc<Descriptor>> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    AsyncFd::new(fd).map(Arc::new)
}

/// Who ended an output.
#[derive(PartialEq, Eq)]
enum End {
    /// The process closed it, or it was never there.
    Process,
    /// The client wants no more, or has gone.
    Client,
}

/// Copies an output until its end, until the client wants no more of it, or until it is quiet after the exit.
async fn pump_out(
    link: &Link,
    fd: Option<Arc<Descriptor>>,
    to: Option<&Outlet<'_>>,
    exited: &CancellationToken,
) -> End {
    let (Some(fd), Some(to)) = (fd, to) else { return End::Process };
    let end = loop {
        let mut ready = tokio::select! {
            biased;
            () = to.closed() => break End::Client,
            ready = fd.readable() => match ready { Ok(ready) => ready, Err(_) => break End::Process },
            () = quiet_after(exited, link) => break End::Process,
        };
        let room = tokio::select! {
            biased;
            () = to.closed() => break End::Client,
            room = link.outbox.room() => match room { Ok(room) => room, Err(_) => break End::Client },
        };
        let mut chunk = Vec::with_capacity(to.chunk());
        match ready.try_io(|fd| read(fd, &mut chunk)) {
            Ok(Ok(0) | Err(_)) => break End::Process,
            Ok(Ok(_)) => {
                link.data_moved();
                to.send(chunk, room);
            }
            Err(_not_ready) => {}
        }
    };
    if let Outlet::Spdy { closed, .. } = to
        && closed.is_cancelled()
        && Arc::strong_count(&fd) > 1
    {
        discard(&fd).await;
    }
    end
}

async fn quiet_after(exited: &CancellationToken, link: &Link) {
    exited.cancelled().await;
    sleep(link.config.drain).await;
}

/// Reads a terminal that nobody watches any more: its input side is still in use, so it cannot be closed.
async fn discard(fd: &Descriptor) {
    let mut chunk = Vec::with_capacity(4096);
    while let Ok(mut ready) = fd.readable().await {
        chunk.clear();
        if let Ok(Ok(0) | Err(_)) = ready.try_io(|fd| read(fd, &mut chunk)) {
            return;
        }
    }
}

/// Reads once into spare room. EIO is how a pty master says that the other side is closed.
fn read(fd: &Descriptor, chunk: &mut Vec<u8>) -> io::Result<usize> {
    match rustix::io::retry_on_intr(|| rustix::io::read(fd.get_ref(), spare_capacity(chunk))) {
        Err(Errno::IO) => Ok(0),
        result => Ok(result?),
    }
}

/// Copies stdin until the client ends it, then closes it. A process that reads no more only makes the rest void.
async fn pump_in(link: &Link, from: Option<&Inlet>, fd: Option<Arc<Descriptor>>) {
    let Some(from) = from else { return pending().await };
    let Some(fd) = fd else {
        from.discard();
        return at_end(from).await;
    };
    while let Some(bytes) = from.next().await {
        if write_all(link, &fd, &bytes).await.is_err() {
            from.discard();
            drop(fd);
            return at_end(from).await;
        }
    }
}

async fn at_end(from: &Inlet) {
    while from.next().await.is_some() {}
}

async fn write_all(link: &Link, fd: &Descriptor, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut ready = fd.writable().await?;
        let write = |fd: &Descriptor| Ok(rustix::io::retry_on_intr(|| rustix::io::write(fd.get_ref(), bytes))?);
        if let Ok(written) = ready.try_io(write) {
            bytes = &bytes[written?..];
            link.data_moved();
        }
    }
    Ok(())
}

/// Applies each terminal size that comes. Never ends: a resize stream that is over or broken ends nothing.
async fn follow_resizes(from: Option<&Sizes>, control: &dyn Control) -> Infallible {
    let Some(from) = from else { return pending().await };
    loop {
        control.resize(from.next().await).await;
    }
}
