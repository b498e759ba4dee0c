// SPDX-License-Identifier: Apache-2.0
//! The last steps of a child, from being in the right namespaces to `execve`. They are the same for a container's first
//! process and for an exec.
//!
//! Invariants: only descriptors 0 to 2 and the fault pipe are open when a directory of the container is first entered
//! (CVE-2024-21626: no host directory can be reached through /proc/self/fd), and the working directory is proven to be
//! inside the root.

use crate::capabilities::{self, Grant};
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::Reporter;
use crate::hooks::{self, Hooks, Point};
use crate::keyring;
use crate::label::Label;
use crate::order::{Process, Rlimit, Seccomp};
use crate::sys::{self, InChild};
use crate::user::User;
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

/// The search path for commands when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The terminal type of a program whose environment does not name one.
const DEFAULT_TERM: &[u8] = b"xterm";

/// Everything that an exec has in common with the container's first process. The shim keeps it for later execs.
#[derive(Debug, Clone)]
pub struct Program {
    /// argv, with at least one element.
    pub args: Vec<CString>,
    /// The environment.
    pub env: Vec<CString>,
    /// The working directory: an absolute path in the container.
    pub cwd: CString,
    /// User id and groups.
    pub user: User,
    /// Capabilities.
    pub grant: Grant,
    /// Whether set-user-id programs have no effect.
    pub no_new_privs: bool,
    /// The filter of its system calls; `None`: all are allowed.
    pub seccomp: Option<Seccomp>,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// Its label for the security modules.
    pub label: Label,
    /// The hooks, of which startContainer's run right before execve; only the container's first process has any.
    pub hooks: Option<Rc<Hooks>>,
}

/// The steps that are already done in a process that has become the program's user.
#[derive(Debug)]
pub struct Ready {
    in_place: bool,
    filtered: bool,
}

impl Program {
    /// The program that was requested. HOME is added if it is not set or empty.
    pub fn new(process: &Process, user: User, grant: Grant) -> Self {
        let mut env = process.env.clone();
        env.retain(|variable| variable.as_bytes() != b"HOME=");
        add_default(&mut env, b"HOME=", &user.home);
        Self {
            args: process.args.clone(),
            env,
            cwd: process.cwd.clone(),
            user,
            grant,
            no_new_privs: process.no_new_privs,
            seccomp: process.seccomp.clone(),
            rlimits: process.rlimits.clone(),
            label: process.label.clone(),
            hooks: None,
        }
    }

    /// Sets TERM to the default terminal type, unless the environment already sets it.
    pub fn set_default_term(&mut self) {
        add_default(&mut self.env, b"TERM=", DEFAULT_TERM);
    }

    /// Puts the streams in place, closes everything else, and becomes the program. `streams` are stdin, stdout and
    /// stderr; with `terminal`, the first becomes the controlling terminal.
    pub fn run(&self, in_child: InChild, streams: [&OwnedFd; 3], terminal: bool, reporter: Reporter) -> ! {
        let (reporter, _) = match place_descriptors(in_child, streams, &reporter, None) {
            Ok(placed) => {
                // Its descriptor was closed with the rest: dropping it would close the same number again.
                std::mem::forget(reporter);
                placed
            }
            Err(failure) => reporter.fail(failure),
        };
        let Err(failure) = self.become_it(terminal);
        reporter.fail(failure)
    }

    fn become_it(&self, terminal: bool) -> Result<std::convert::Infallible> {
        if terminal {
            take_terminal()?;
        }
        // Without no_new_privs, loading a filter takes CAP_SYS_ADMIN, so it is loaded before that is dropped.
        let ready = self.give_up_rights(!self.no_new_privs)?;
        self.execute(&ready, self.no_new_privs)
    }

    /// Does everything that needs the shim's rights, then drops them: afterwards, this process is the program's user.
    ///
    /// # Errors
    /// The kernel's error, with the step. The process may then have lost some of its rights.
    pub fn give_up_rights(&self, load_filter: bool) -> Result<Ready> {
        sys::reset_signals();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        set_rlimits(&self.rlimits)?;
        // Before the filter, which may forbid it.
        keyring::join_new_or_keep()?;
        let entered = enter(&self.cwd);
        if load_filter {
            self.load_seccomp()?;
        }
        capabilities::become_user(&self.user, &self.grant)?;
        Ok(Ready { in_place: entered.is_ok(), filtered: load_filter })
    }

    /// Does the rest, with only the rights of the program.
    ///
    /// # Errors
    /// `NotFound` and `PermissionDenied` with the command; otherwise the kernel's error with the step, or the hook that failed.
    pub fn execute(&self, ready: &Ready, no_new_privs: bool) -> Result<std::convert::Infallible> {
        if !ready.in_place {
            // A directory that only this user may enter, such as a root-squashed export.
            enter(&self.cwd)?;
        }
        let path = self.find()?;
        if no_new_privs {
            rustix::thread::set_no_new_privs(true).map_err(|e| failure::kernel("set no_new_privs", "self", e))?;
        }
        if !ready.filtered {
            self.load_seccomp()?;
        }
        if let Some(hooks) = &self.hooks {
            hooks::run(hooks, Point::StartContainer, std::process::id() as i32)?;
        }
        let error = sys::execve(&path, &self.args, &self.env);
        Err(cannot_exec(&self.args[0], error.raw_os_error().unwrap_or(0)))
    }

    fn load_seccomp(&self) -> Result<()> {
        let Some(seccomp) = &self.seccomp else { return Ok(()) };
        sys::load_seccomp(&seccomp.filter, seccomp.flags).map_err(|e| {
            let size = format!("filter of {} instructions", seccomp.instructions());
            failure::kernel("load seccomp", size, e)
        })
    }

    /// Finds the file to execute, with the rights of the user that executes it; in PATH if the command has no slash.
    fn find(&self) -> Result<CString> {
        let command = &self.args[0];
        if command.as_bytes().contains(&b'/') {
            return runnable(command).map(|()| command.clone()).map_err(|e| cannot_exec(command, e.raw_os_error()));
        }
        let path = self.env.iter().rev().find_map(|v| v.as_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
        let mut refused = None;
        for dir in path.split(|&b| b == b':').filter(|dir| dir.starts_with(b"/")) {
            let Ok(file) = CString::new([dir, b"/", command.as_bytes()].concat()) else { continue };
            match runnable(&file) {
                Ok(()) => return Ok(file),
                Err(Errno::ACCESS) => refused = Some(Errno::ACCESS),
                Err(_) => {}
            }
        }
        match refused {
            Some(e) => Err(cannot_exec(command, e.raw_os_error())),
            None => Err(exec_failure(command, Kind::NotFound, libc::ENOENT, "executable file not found in $PATH")),
        }
    }
}

fn add_default(env: &mut Vec<CString>, key: &[u8], value: &[u8]) {
    if env.iter().any(|v| v.as_bytes().starts_with(key)) {
        return;
    }
    if let Ok(variable) = CString::new([key, value].concat()) {
        env.push(variable);
    }
}

/// Moves the streams to 0..=2 and the reporter and `tell` to the numbers after them, and closes everything else. That
/// includes the originals: only the returned copies may be used afterwards.
///
/// # Errors
/// The kernel's error. Some numbers may then refer to other descriptors.
pub fn place_descriptors(
    in_child: InChild,
    streams: [&OwnedFd; 3],
    reporter: &Reporter,
    tell: Option<&OwnedFd>,
) -> Result<(Reporter, Option<OwnedFd>)> {
    // Above the numbers that are about to be filled.
    let high = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 10).map_err(|e| failure::kernel("dup", "pipe", e));
    let rest = [Some(reporter.as_fd()), tell.map(AsFd::as_fd)].into_iter().flatten().map(high);
    let rest = rest.collect::<Result<Vec<OwnedFd>>>()?;
    let [stdin, stdout, stderr] = streams;
    dup2_stdin(stdin)
        .and_then(|()| dup2_stdout(stdout))
        .and_then(|()| dup2_stderr(stderr))
        .map_err(|e| failure::kernel("dup", "stream", e))?;
    let placed =
        sys::place_and_close_rest(in_child, rest, 3).map_err(|e| failure::kernel("close descriptors", "self", e))?;
    let mut placed = placed.into_iter();
    let reporter = placed.next().ok_or_else(|| failure::kernel("place", "fault", Errno::BADF))?;
    Ok((Reporter::from(reporter), placed.next()))
}

/// Makes stdin the controlling terminal of this process, which is a session leader.
///
/// # Errors
/// The kernel's error; `EPERM` when another session has it.
pub fn take_terminal() -> Result<()> {
    rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()).map_err(|e| failure::kernel("set terminal", "stdin", e))
}

/// Enters the working directory and proves that it is inside the root.
fn enter(cwd: &CString) -> Result<()> {
    let name = || cwd.to_string_lossy().into_owned();
    rustix::process::chdir(cwd.as_c_str()).map_err(|e| failure::kernel("enter working directory", name(), e))?;
    // For a directory outside the root, the kernel returns "(unreachable)/...".
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        Ok(_) => Err(failure::refused(Kind::PermissionDenied, "enter working directory", name(), "outside the root")),
        Err(e) => Err(failure::kernel("enter working directory", name(), e)),
    }
}

/// Sets the limits. A hard limit above our own is reduced to ours if we may not raise it.
fn set_rlimits(limits: &[Rlimit]) -> Result<()> {
    for limit in limits {
        let fail = |e| failure::kernel("set rlimit", limit.resource.to_string(), e);
        match sys::set_rlimit(limit.resource, limit.soft, limit.hard) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                let (_, hard) = sys::rlimit(limit.resource).map_err(fail)?;
                sys::set_rlimit(limit.resource, limit.soft.min(hard), limit.hard.min(hard)).map_err(fail)?;
            }
            other => other.map_err(fail)?,
        }
    }
    Ok(())
}

/// Whether this process could execute the file.
fn runnable(file: &CString) -> std::result::Result<(), Errno> {
    if FileType::from_raw_mode(stat(file.as_c_str())?.st_mode) == FileType::Directory {
        return Err(Errno::ACCESS);
    }
    accessat(CWD, file.as_c_str(), Access::EXEC_OK, AtFlags::empty())
}

fn cannot_exec(command: &CString, errno: i32) -> Failure {
    let kind = failure::kind_of(errno);
    let words = failure::kernel("exec", "", std::io::Error::from_raw_os_error(errno)).message;
    exec_failure(command, kind, errno, words.trim_start_matches("exec : "))
}

fn exec_failure(command: &CString, kind: Kind, errno: i32, why: &str) -> Failure {
    let object = OsStr::from_bytes(command.as_bytes()).to_string_lossy().into_owned();
    let message = format!("exec {object:?}: {why}");
    Failure { kind: kind.into(), step: "execve".into(), object, errno, message }
}
