// SPDX-License-Identifier: Apache-2.0
//! The interface from the streaming server to the daemon: processes with their descriptors, and connections into pods.

use crate::resize::TerminalSize;
use futures_util::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use tonic::Status;

/// Starts processes and dials ports. The methods are called once the client's streams are complete, so they check the
/// state again: the container may be gone by then.
///
/// - Cancel: a client that disconnects does not cancel a call; the call runs to its end and the result is dropped. So
///   each call needs its own deadline. Only a shutdown of the server cancels a call.
pub trait Backend: Send + Sync + 'static {
    /// Starts a command in a container.
    ///
    /// The process must not be tied to the returned value. When the client disconnects, the value is dropped. This
    /// closes the descriptors, and the process sees end of file, SIGPIPE or (with a tty) SIGHUP. The backend still
    /// reaps it.
    fn exec(&self, request: ExecRequest) -> impl Future<Output = Result<Process, Status>> + Send;

    /// Attaches to the stdio of a container's first process. Dropping the result only detaches.
    fn attach(&self, request: AttachRequest) -> impl Future<Output = Result<Process, Status>> + Send;

    /// Connects a TCP socket to a port inside a pod: 127.0.0.1, then ::1, in the pod's network namespace.
    ///
    /// # Errors
    /// Its message is shown to the user after "error forwarding port …".
    fn dial(&self, pod_sandbox_id: &str, port: u16) -> impl Future<Output = Result<OwnedFd, Status>> + Send;
}

/// A command to run. The streams are those of the RPC, whatever the client then opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// Full id or prefix, as in the RPC.
    pub container_id: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal; then `stderr` is false.
    pub tty: bool,
    /// Whether it gets a stdin.
    pub stdin: bool,
    /// Whether its stdout is wanted.
    pub stdout: bool,
    /// Whether its stderr is wanted.
    pub stderr: bool,
    /// The terminal's size, if the client sent it before the start.
    pub size: Option<TerminalSize>,
}

/// A running container's streams to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachRequest {
    /// Full id or prefix, as in the RPC.
    pub container_id: String,
    /// Whether the container has a terminal, according to the RPC; the backend checks it.
    pub tty: bool,
    /// Whether the client writes to its stdin.
    pub stdin: bool,
    /// Whether the client reads its stdout.
    pub stdout: bool,
    /// Whether the client reads its stderr.
    pub stderr: bool,
}

/// A running process as a session sees it. Its descriptors are pipes, sockets or a pty master: anything epoll supports.
pub struct Process {
    /// Receives the client's bytes. Closing it is the process's end of file, so for exec no other copy may stay open.
    pub stdin: Option<OwnedFd>,
    /// The process's stdout.
    pub stdout: Option<OwnedFd>,
    /// The process's stderr.
    pub stderr: Option<OwnedFd>,
    /// With a terminal: the one descriptor for both directions. The other three are then `None`.
    pub tty: Option<OwnedFd>,
    /// For attach: the end of the client's stdin closes the container's stdin for good, and the output continues.
    /// Otherwise it ends the attach session. Exec ignores this.
    pub stdin_once: bool,
    /// Controls the process other than through its stdio.
    pub control: Box<dyn Control>,
    /// Resolves when the process has exited: its exit code 0..=255 (128+n after signal n), or why it is unknown. For
    /// attach it also resolves, with an error, when the container's side dropped this viewer for being too slow.
    pub exit: BoxFuture<'static, Result<i32, Status>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("tty", &self.tty)
            .field("stdin_once", &self.stdin_once)
            .finish_non_exhaustive()
    }
}

/// Controls a process other than through its stdio. Calls are made one at a time.
pub trait Control: Send + Sync {
    /// Sets the terminal's size. The implementation logs failures: a lost resize does not end a session.
    fn resize(&self, size: TerminalSize) -> BoxFuture<'_, ()>;

    /// Called when the client of an exec with a terminal has disconnected, just before the session closes its
    /// descriptor. An implementation that holds another copy of the pty master closes it now, so that the process gets
    /// its SIGHUP.
    fn hang_up(&self) {}
}
