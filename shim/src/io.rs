// SPDX-License-Identifier: Apache-2.0
//! The container's stdio: output to its log and to attached clients, input from them.
//!
//! ```text
//! container stdout, stderr --read--> Log (one file)
//! (or one terminal)            '---> viewers (each with its own bounded queue)
//! viewers' stdin --read--> waiting (at most one read) --write--> container stdin (or terminal)
//! ```
//!
//! Plain state machines over non-blocking descriptors; the caller's event loop waits. It watches what
//! [`Stdio::interests`] lists (again after [`Stdio::changes`] moved; level-triggered), calls [`Stdio::on_ready`]
//! with the token of a ready descriptor (readable, writable, error and hang-up alike), and [`Stdio::on_time`] at
//! [`Stdio::deadline`]. Invariants: output is read whatever log and viewers do; read buffers exist only while
//! there is traffic; no call waits except [`Stdio::drain`], which has a limit.

use crate::attach::{self, Carries, Gone, Viewer};
use crate::log::{self, Log, Stream};
use gorae_proto::shim::Attach;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// One read of output. What fits in the processor's second-level cache together with its records.
const READ: usize = 64 << 10;
/// Reads per call of [`Stdio::on_ready`], so that a chatty container does not starve the control connection.
const READS_PER_TURN: usize = 16;
/// Room in the output pipes: the container runs on while a write to the log takes its time.
const PIPE: usize = 256 << 10;
/// Buffers are given back after this long without output.
const IDLE: Duration = Duration::from_secs(1);
/// The most recent output of a terminal that is kept for its first viewer: one screen, and more.
const UNSEEN: usize = 16 << 10;
/// Attached descriptors per container.
const MAX_VIEWERS: usize = 64;
const STDIN: u32 = 2;
const FIRST_VIEWER: u32 = 16;

/// The shim's ends of a container's stdio.
#[derive(Debug)]
pub enum Ends {
    /// Three pipes; `stdin` only when one is kept open for attach.
    Pipes {
        /// Writable end.
        stdin: Option<OwnedFd>,
        /// Readable end.
        stdout: OwnedFd,
        /// Readable end.
        stderr: OwnedFd,
    },
    /// The master of the container's terminal.
    Terminal {
        /// Both ways.
        master: OwnedFd,
    },
}

/// The container's ends, to become its descriptors 0, 1 and 2.
#[derive(Debug)]
pub struct ChildEnds {
    /// A pipe, or `/dev/null`.
    pub stdin: OwnedFd,
    /// A pipe.
    pub stdout: OwnedFd,
    /// A pipe.
    pub stderr: OwnedFd,
}

/// Makes the pipes of a container without a terminal; all descriptors are close-on-exec.
///
/// - Errors: what `pipe2` or opening `/dev/null` answered.
pub fn pipes(stdin: bool) -> Result<(Ends, ChildEnds), Errno> {
    let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    for pipe in [&stdout, &stderr] {
        // Above the user's allowance for pipes the default size stays.
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    let (child_stdin, stdin) = if stdin {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        (read, Some(write))
    } else {
        (rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?, None)
    };
    let child = ChildEnds { stdin: child_stdin, stdout: child_stdout, stderr: child_stderr };
    Ok((Ends::Pipes { stdin, stdout, stderr }, child))
}

/// What to wait for on one descriptor. Errors and hang-ups count always.
#[derive(Debug)]
pub struct Interest<'a> {
    /// Names the descriptor towards [`Stdio::on_ready`]; never used for another one.
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
    changes: u64,
    chunk: Vec<u8>,
    /// What a terminal showed before anybody looked; `None` from the first viewer on, and without a terminal.
    unseen: Option<Vec<u8>>,
    last_output: Instant,
}

impl Stdio {
    /// Takes over the shim's ends.
    ///
    /// - Shapes: `stdin_once` closes the container's stdin for good when the first attached one closes.
    /// - Errors: what `fcntl` answered to making the descriptors non-blocking.
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
            changes: 0,
            chunk: Vec::new(),
            unseen: terminal.then(Vec::new),
            last_output: Instant::now(),
        })
    }

    /// Whether there is a terminal.
    pub fn terminal(&self) -> bool {
        self.terminal
    }

    /// The terminal's master, for a resize; `None` without one or after its end.
    pub fn master(&self) -> Option<BorrowedFd<'_>> {
        self.outputs[0].as_ref().filter(|_| self.terminal).map(AsFd::as_fd)
    }

    /// Moves whenever [`Stdio::interests`] may have.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What to wait for now. A descriptor that is not listed is closed, or must not be watched for the moment: a
    /// client that hung up is not looked at again before its last input has gone to the container.
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

    /// Does what the descriptor with this token is ready for; unknown tokens are ignored.
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

    /// When [`Stdio::on_time`] wants to be called; `None` while there is nothing to do later.
    pub fn deadline(&self) -> Option<Instant> {
        let idle = self.holds_buffers().then(|| self.last_output + IDLE);
        idle.into_iter().chain(self.log.retry_at()).min()
    }

    /// Retries a log that refused writes, and gives buffers back that were not used for a while.
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
    /// - Errors: see [`log::Error`]; the old file then stays in use.
    pub fn reopen(&mut self) -> Result<(), log::Error> {
        self.log.reopen()
    }

    /// Bytes of output that the log does not have because writes failed.
    pub fn gap_bytes(&self) -> u64 {
        self.log.gap_bytes()
    }

    /// Lets a client take part, from now on. A terminal's first client also gets the last 16 KiB that the terminal
    /// showed before: a shell's first prompt is always written earlier than anybody can attach.
    ///
    /// - Shapes: the client's descriptors in the order stdin, stdout, stderr, those asked for; with a terminal one
    ///   for everything. A stdin that the container does not have (any more) is `/dev/null`, an output that has
    ///   ended is at its end of file.
    /// - Errors: `EMFILE` above 64 attached descriptors; else what the kernel answered.
    pub fn attach(&mut self, wanted: &Attach) -> Result<Vec<OwnedFd>, Errno> {
        if self.viewers.len() + 3 > MAX_VIEWERS {
            return Err(Errno::MFILE);
        }
        if self.terminal {
            let flags = SocketFlags::CLOEXEC;
            let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            if let Some(unseen) = self.unseen.take() {
                // A fresh socket has more room than that.
                rustix::io::write(&ours, &unseen)?;
            }
            self.admit(ours, Carries::Terminal)?;
            return Ok(vec![theirs]);
        }
        let mut fds = Vec::with_capacity(3);
        if wanted.stdin {
            fds.push(self.attach_stdin()?);
        }
        for (asked, stream) in [(wanted.stdout, Stream::Stdout), (wanted.stderr, Stream::Stderr)] {
            if asked {
                let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
                self.admit(ours, Carries::Output(stream))?;
                fds.push(theirs);
            }
        }
        Ok(fds)
    }

    /// Takes in the output that an exited container left behind, until its end or for `limit` at most, and
    /// settles the log. Afterwards only queues of viewers are left to serve, see [`Stdio::finished`].
    pub fn drain(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            self.read_output(Stream::Stdout, usize::MAX);
            self.read_output(Stream::Stderr, usize::MAX);
            if self.outputs.iter().all(Option::is_none) || !self.wait_for_output(end) {
                break;
            }
        }
        self.end_stream(Stream::Stdout);
        self.end_stream(Stream::Stderr);
        self.close_stdin();
        self.log.settle();
    }

    /// Whether all output has ended and every viewer has got it.
    pub fn finished(&self) -> bool {
        self.outputs.iter().all(Option::is_none) && !self.viewers.iter().any(Viewer::wants_room)
    }

    fn holds_buffers(&self) -> bool {
        self.chunk.capacity() > 0 || self.log.holds_buffers()
    }

    fn attach_stdin(&mut self) -> Result<OwnedFd, Errno> {
        if self.stdin.is_none() || self.closing_stdin {
            return rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        }
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        self.admit(ours, Carries::Input)?;
        Ok(theirs)
    }

    fn admit(&mut self, fd: OwnedFd, carries: Carries) -> Result<(), Errno> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let ended = match carries {
            Carries::Output(stream) => self.outputs[stream as usize].is_none(),
            Carries::Terminal => self.outputs[0].is_none(),
            Carries::Input => false,
        };
        if !ended {
            self.viewers.push(Viewer::new(self.next_token, fd, carries));
            self.next_token += 1;
            self.changes += 1;
        }
        Ok(())
    }

    /// Reads one output stream until it is empty, at its end, or has had its turn.
    fn read_output(&mut self, stream: Stream, turns: usize) {
        for _ in 0..turns {
            let Some(fd) = &self.outputs[stream as usize] else { return };
            self.chunk.clear();
            self.chunk.reserve(READ);
            match rustix::io::read(fd, spare_capacity(&mut self.chunk)) {
                // EIO: the last process that had the terminal open is gone.
                Ok(0) | Err(Errno::IO) => return self.end_stream(stream),
                Ok(_) => self.take_output(stream),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end_stream(stream),
            }
        }
    }

    fn take_output(&mut self, stream: Stream) {
        self.last_output = Instant::now();
        self.log.write(stream, &self.chunk);
        if let Some(unseen) = &mut self.unseen {
            let new = &self.chunk[self.chunk.len().saturating_sub(UNSEEN)..];
            unseen.drain(..(unseen.len() + new.len()).saturating_sub(UNSEEN));
            unseen.extend_from_slice(new);
        }
        if self.viewers.is_empty() {
            return;
        }
        let wants = |viewers: &[Viewer]| (viewers.len(), viewers.iter().filter(|v| v.wants_room()).count());
        let (chunk, before) = (&self.chunk, wants(&self.viewers));
        self.viewers.retain_mut(|viewer| viewer.show(stream, chunk).is_ok());
        self.changes += u64::from(wants(&self.viewers) != before);
    }

    fn end_stream(&mut self, stream: Stream) {
        if self.outputs[stream as usize].take().is_some() {
            self.log.finish(stream);
            self.viewers.retain_mut(|viewer| viewer.end_output(stream).is_ok());
            self.changes += 1;
        }
    }

    /// False when the time is over.
    fn wait_for_output(&self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds: Vec<_> = self.outputs.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        !left.is_zero() && poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    fn serve_viewer(&mut self, token: u32) {
        let Some(at) = self.viewers.iter().position(|viewer| viewer.token == token) else { return };
        self.changes += 1;
        let mut state = self.viewers[at].flush();
        if state.is_ok() && self.viewers[at].gives_input() && self.waiting.is_empty() {
            state = self.read_input(at);
        }
        if state.is_err() {
            self.viewers.swap_remove(at);
        }
        self.feed_container();
    }

    fn read_input(&mut self, at: usize) -> Result<(), Gone> {
        self.waiting.reserve(READ / 16);
        match rustix::io::read(self.viewers[at].fd(), spare_capacity(&mut self.waiting)) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Ok(n) if n > 0 => Ok(()),
            _ => {
                self.closing_stdin |= self.stdin_once;
                self.viewers[at].end_input()
            }
        }
    }

    /// Writes what waits to the container, and closes its stdin when that was the last of it.
    fn feed_container(&mut self) {
        while !self.waiting.is_empty() {
            let stdin = if self.terminal { &self.outputs[0] } else { &self.stdin };
            let Some(fd) = stdin else { return self.close_stdin() };
            match rustix::io::write(fd, &self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.close_stdin(),
            }
            self.changes += 1;
        }
        self.waiting = Vec::new();
        if self.closing_stdin {
            self.close_stdin();
        }
    }

    /// The container gets the end of file; clients that still send see a closed pipe.
    fn close_stdin(&mut self) {
        self.waiting = Vec::new();
        if self.stdin.take().is_some() {
            self.viewers.retain_mut(|viewer| !viewer.gives_input());
            self.changes += 1;
        }
    }
}

#[cfg(test)]
mod tests;
