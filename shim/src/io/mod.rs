// SPDX-License-Identifier: Apache-2.0
//! The container's stdio: output to its log and to attached clients, input from them.
//!
//! ```text
//! container stdout, stderr --read--> Log (one file)
//! (or one terminal)            '---> viewers (each with its own bounded queue)
//! viewers' stdin --read--> waiting (at most one read) --write--> container stdin (or terminal)
//! ```
//!
//! Plain state machines over non-blocking descriptors; the caller's event loop does the waiting. It watches the list
//! from [`Stdio::interests`] (again after [`Stdio::changes`] moved; level-triggered), calls [`Stdio::on_ready`] with
//! the token of a ready descriptor (readable, writable, error and hang-up alike), and [`Stdio::on_time`] at
//! [`Stdio::deadline`]. Invariants: output is read whatever the log and the viewers do; read buffers exist only while
//! there is traffic; no call blocks except [`Stdio::drain`], which has a limit.

mod ends;
mod input;
mod output;

pub use ends::{ChildEnds, Ends, pipes};

use crate::attach::{self, Carries, Viewer};
use crate::log::{self, Log, Stream};
use gorae_proto::shim::Attach;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes per read of output. They fit into the processor's L2 cache together with their records.
const READ: usize = 64 << 10;
/// Reads per call of [`Stdio::on_ready`], so that a chatty container does not starve the control connection.
const READS_PER_TURN: usize = 16;
/// Buffers are freed after this long without output.
const IDLE: Duration = Duration::from_secs(1);
/// Bytes of a terminal's latest output that are kept for its first viewer: more than one screen.
const UNSEEN: usize = 16 << 10;
/// Attached descriptors per container.
const MAX_VIEWERS: usize = 64;
const STDIN: u32 = 2;
const FIRST_VIEWER: u32 = 16;

/// What to wait for on one descriptor. Errors and hang-ups always count.
#[derive(Debug)]
pub struct Interest<'a> {
    /// Identifies the descriptor to [`Stdio::on_ready`]; never reused for another one.
    pub token: u32,
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Bytes to read.
    pub readable: bool,
    /// Room to write.
    pub writable: bool,
}

/// The stdio of one container.
#[derive(Debug)]
pub struct Stdio {
    log: Log,
    outputs: [Option<OwnedFd>; 2],
    terminal: bool,
    stdin: Option<OwnedFd>,
    stdin_once: bool,
    closing_stdin: bool,
    waiting: Vec<u8>,
    viewers: Vec<Viewer>,
    next_token: u32,
    clients: u64,
    changes: u64,
    chunk: Vec<u8>,
    /// The terminal's output before the first viewer; `None` once one has attached, and without a terminal.
    unseen: Option<Vec<u8>>,
    last_output: Instant,
}

impl Stdio {
    /// Takes over the shim's ends.
    ///
    /// - Shapes: `stdin_once` closes the container's stdin for good when the first attached stdin closes.
    ///
    /// # Errors
    /// The error of making the descriptors non-blocking.
    pub fn new(log: Log, ends: Ends, stdin_once: bool) -> Result<Self, Errno> {
        let (outputs, stdin, terminal) = match ends {
            Ends::Pipes { stdin, stdout, stderr } => ([Some(stdout), Some(stderr)], stdin, false),
            Ends::Terminal { master } => ([Some(master), None], None, true),
        };
        for fd in outputs.iter().chain([&stdin]).flatten() {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Self {
            log,
            outputs,
            terminal,
            stdin,
            stdin_once,
            closing_stdin: false,
            waiting: Vec::new(),
            viewers: Vec::new(),
            next_token: FIRST_VIEWER,
            clients: 0,
            changes: 0,
            chunk: Vec::new(),
            unseen: terminal.then(Vec::new),
            last_output: Instant::now(),
        })
    }

    /// Whether the container has a terminal.
    pub fn terminal(&self) -> bool {
        self.terminal
    }

    /// The terminal's master, for a resize; `None` without a terminal or after its end.
    pub fn master(&self) -> Option<BorrowedFd<'_>> {
        self.outputs[0].as_ref().filter(|_| self.terminal).map(AsFd::as_fd)
    }

    /// A counter that moves whenever [`Stdio::interests`] may have changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What to wait for now. A descriptor that is not listed is closed, or must not be watched for the moment: a client
    /// that hung up is not served again before its last input has gone to the container.
    pub fn interests(&self) -> Vec<Interest<'_>> {
        let waiting = !self.waiting.is_empty();
        let mut list = Vec::with_capacity(3 + self.viewers.len());
        for (token, fd) in self.outputs.iter().enumerate() {
            let writable = self.terminal && waiting;
            list.extend(fd.iter().map(|fd| Interest { token: token as u32, fd: fd.as_fd(), readable: true, writable }));
        }
        let stdin = self.stdin.iter();
        list.extend(stdin.map(|fd| Interest { token: STDIN, fd: fd.as_fd(), readable: false, writable: waiting }));
        let watched = self.viewers.iter().filter(|viewer| !waiting || !viewer.gives_input() || viewer.wants_room());
        list.extend(watched.map(|viewer| Interest {
            token: viewer.token,
            fd: viewer.fd(),
            readable: viewer.gives_input() && !waiting,
            writable: viewer.wants_room(),
        }));
        list
    }

    /// Handles the descriptor with this token, which is ready; unknown tokens are ignored.
    pub fn on_ready(&mut self, token: u32) {
        match token {
            0 => {
                self.feed_container();
                self.read_output(Stream::Stdout, READS_PER_TURN);
            }
            1 => self.read_output(Stream::Stderr, READS_PER_TURN),
            STDIN if self.waiting.is_empty() && self.stdin.as_ref().is_some_and(attach::hung_up) => self.close_stdin(),
            STDIN => self.feed_container(),
            _ => self.serve_viewer(token),
        }
    }

    /// When to call [`Stdio::on_time`]; `None` while nothing is scheduled.
    pub fn deadline(&self) -> Option<Instant> {
        let idle = self.holds_buffers().then(|| self.last_output + IDLE);
        idle.into_iter().chain(self.log.retry_at()).min()
    }

    /// Retries a log that refused writes, and frees buffers that have been idle.
    pub fn on_time(&mut self, now: Instant) {
        if self.log.retry_at().is_some_and(|at| at <= now) {
            self.log.retry();
        }
        if self.holds_buffers() && now.duration_since(self.last_output) >= IDLE {
            self.chunk = Vec::new();
            self.log.release();
            crate::sys::release_heap();
        }
    }

    /// Switches the log to a new file at the same path; the file exists when this returns.
    ///
    /// # Errors
    /// See [`log::Error`]; the old file then stays in use.
    pub fn reopen(&mut self) -> Result<(), log::Error> {
        self.log.reopen()
    }

    /// Bytes of output that are missing in the log because writes failed.
    pub fn gap_bytes(&self) -> u64 {
        self.log.gap_bytes()
    }

    /// Attaches a client from now on. A terminal's first client also gets the last 16 KiB of output from before: a
    /// shell writes its first prompt before anyone can attach.
    ///
    /// - Shapes: returns the client's descriptors in the order stdin, stdout, stderr, as requested; with a terminal one
    ///   for everything. A stdin that the container does not have (any more) is `/dev/null`, an output that has ended
    ///   is at end of file.
    ///
    /// # Errors
    /// `EMFILE` above 64 attached descriptors; otherwise the kernel's error.
    pub fn attach(&mut self, wanted: &Attach) -> Result<Vec<OwnedFd>, Errno> {
        if self.viewers.len() + 3 > MAX_VIEWERS {
            return Err(Errno::MFILE);
        }
        self.clients += 1;
        if self.terminal {
            let flags = SocketFlags::CLOEXEC;
            let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let unseen = self.unseen.take().unwrap_or_default();
            self.admit(ours, Carries::Terminal, &unseen)?;
            return Ok(vec![theirs]);
        }
        let mut fds = Vec::with_capacity(3);
        if wanted.stdin {
            fds.push(self.attach_stdin()?);
        }
        for (asked, stream) in [(wanted.stdout, Stream::Stdout), (wanted.stderr, Stream::Stderr)] {
            if asked {
                let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
                self.admit(ours, Carries::Output(stream), &[])?;
                fds.push(theirs);
            }
        }
        Ok(fds)
    }

    /// Reads the output that an exited container left behind, until end of file or for at most `limit`, and settles the
    /// log. Afterwards only the viewers' queues have to be served, see [`Stdio::finished`].
    pub fn drain(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            // In turns: a process that writes without pause would never let the read end.
            self.read_output(Stream::Stdout, READS_PER_TURN);
            self.read_output(Stream::Stderr, READS_PER_TURN);
            if self.outputs.iter().all(Option::is_none) || !self.wait_for_output(end) {
                break;
            }
        }
        self.end_stream(Stream::Stdout);
        self.end_stream(Stream::Stderr);
        self.close_stdin();
        self.log.settle();
    }

    /// Whether all output has ended and every viewer has received it.
    pub fn finished(&self) -> bool {
        self.outputs.iter().all(Option::is_none) && !self.viewers.iter().any(Viewer::wants_room)
    }

    fn holds_buffers(&self) -> bool {
        self.chunk.capacity() > 0 || self.log.holds_buffers()
    }

    /// Adds a descriptor; `first` is sent on it before anything else.
    fn admit(&mut self, fd: OwnedFd, carries: Carries, first: &[u8]) -> Result<(), Errno> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let ended = match carries {
            Carries::Output(stream) => self.outputs[stream as usize].is_none().then_some(stream),
            Carries::Terminal => self.outputs[0].is_none().then_some(Stream::Stdout),
            Carries::Input => None,
        };
        let mut viewer = Viewer::new(self.next_token, self.clients, fd, carries);
        let shown = viewer.show(Stream::Stdout, first);
        if shown.and_then(|()| ended.map_or(Ok(()), |stream| viewer.end_output(stream))).is_ok() {
            self.viewers.push(viewer);
            self.next_token += 1;
            self.changes += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
