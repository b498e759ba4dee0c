// SPDX-License-Identifier: Apache-2.0
//! A backend that runs commands on this machine with real pipes and terminals, and dials its loopback.

use crate::{AttachRequest, Backend, Control, ExecRequest, Process, TerminalSize};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::process::Command;
use tonic::Status;

#[derive(Debug)]
pub(super) struct Local {
    /// The value of a variable that marks every process of this backend, so that all of them end with it.
    mark: String,
    /// The command that [`Backend::attach`] runs in place of a container.
    pub(super) container: Mutex<Vec<String>>,
    pub(super) stdin_once: Mutex<bool>,
    pub(super) dials: AtomicUsize,
    /// Number of requested commands.
    pub(super) execs: AtomicUsize,
    /// Number of reaped exits.
    pub(super) exits: Arc<AtomicUsize>,
}

/// The variable's name.
const MARK: &str = "GORAE_STREAMING_TEST";

impl Default for Local {
    fn default() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let (container, stdin_once, dials, execs, exits) = Default::default();
        Self { mark, container, stdin_once, dials, execs, exits }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for pid in self.left() {
            // It may have just exited.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

struct Terminal(Option<OwnedFd>);

impl Control for Terminal {
    fn resize(&self, size: TerminalSize) -> BoxFuture<'_, ()> {
        if let Some(master) = &self.0 {
            set_size(master, size);
        }
        async {}.boxed()
    }
}

fn set_size(master: &OwnedFd, size: TerminalSize) {
    let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).unwrap();
}

impl Local {
    /// The processes that are still running, of all that a test started here.
    pub(super) fn left(&self) -> Vec<rustix::process::Pid> {
        let mark = format!("{MARK}={}\0", self.mark);
        let marked = |id: &str| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|part| part == mark.as_bytes())
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| marked(id));
        ids.filter_map(|id| rustix::process::Pid::from_raw(id.parse().ok()?)).collect()
    }

    fn start(&self, command: &[String], tty: bool, streams: [bool; 3], size: Option<TerminalSize>) -> Process {
        let mut child = Command::new(if tty { "setsid" } else { &command[0] });
        let mut process = Process {
            stdin: None,
            stdout: None,
            stderr: None,
            tty: None,
            stdin_once: *self.stdin_once.lock().unwrap(),
            control: Box::new(Terminal(None)),
            exit: async { Ok(0) }.boxed(),
        };
        if tty {
            let (master, slave) = terminal();
            if let Some(size) = size {
                set_size(&master, size);
            }
            child.arg("-c").args(command);
            child.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
            process.control = Box::new(Terminal(Some(master.try_clone().unwrap())));
            process.tty = Some(master);
        } else {
            child.args(&command[1..]);
            child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if streams[0] {
                let (ours, theirs) = pipe();
                child.stdin(ours);
                process.stdin = Some(theirs);
            }
            if streams[1] {
                let (ours, theirs) = pipe();
                child.stdout(theirs);
                process.stdout = Some(ours);
            }
            if streams[2] {
                let (ours, theirs) = pipe();
                child.stderr(theirs);
                process.stderr = Some(ours);
            }
        }
        let mut running = child.env(MARK, &self.mark).spawn().unwrap();
        drop(child);
        let (tell, told) = tokio::sync::oneshot::channel();
        let exits = self.exits.clone();
        tokio::spawn(async move {
            use std::os::unix::process::ExitStatusExt;
            let status = running.wait().await.unwrap();
            exits.fetch_add(1, Ordering::SeqCst);
            let _ = tell.send(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        });
        process.exit = async { told.await.map_err(|_| Status::internal("the shim is gone")) }.boxed();
        process
    }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// A new terminal: master and slave. No child but its own may inherit the master, or nothing hangs up.
fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (master, slave)
}

impl Backend for Local {
    async fn exec(&self, request: ExecRequest) -> Result<Process, Status> {
        self.execs.fetch_add(1, Ordering::SeqCst);
        match request.command[0].as_str() {
            "block" => {
                // No backend should do this: it blocks the thread, so that the session cannot be dropped.
                std::thread::sleep(std::time::Duration::from_secs(4));
                Err(Status::internal("awake again"))
            }
            "missing" => Err(Status::not_found("exec: \"missing\": executable file not found in $PATH")),
            _ => {
                let streams = [request.stdin, request.stdout, request.stderr];
                Ok(self.start(&request.command, request.tty, streams, request.size))
            }
        }
    }

    async fn attach(&self, request: AttachRequest) -> Result<Process, Status> {
        let command = self.container.lock().unwrap().clone();
        if command.is_empty() {
            return Err(Status::failed_precondition("container is not running"));
        }
        Ok(self.start(&command, request.tty, [request.stdin, request.stdout, request.stderr], None))
    }

    async fn dial(&self, _pod: &str, port: u16) -> Result<OwnedFd, Status> {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let mut last = None;
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            match tokio::net::TcpStream::connect(SocketAddr::new(ip, port)).await {
                Ok(stream) => return Ok(stream.into_std().unwrap().into()),
                Err(error) => last = Some(error),
            }
        }
        Err(Status::unavailable(format!("connect to localhost:{port}: {}", last.unwrap())))
    }
}
