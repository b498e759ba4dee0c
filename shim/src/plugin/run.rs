// SPDX-License-Identifier: Apache-2.0
//! Runs a plugin until it ends, its time is over, or it printed too much.

use super::end::{self, Left};
use super::request::Plugin;
use crate::drain::{Drain, Keep};
use crate::failure::{self, Result};
use crate::sys;
use crate::wire::{PluginRan, plugin_ran::Ending};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::{CString, NulError};
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

/// How many bytes of a plugin's last words are kept.
const WORDS: usize = 16 << 10;

/// Runs the plugin and tells how it ended. Whatever it started and did not end is killed, unless it ended well by itself.
///
/// # Errors
/// The kernel has no room; the plugin was not started then.
pub(super) fn run(plugin: &Plugin, end: Instant) -> Result<(PluginRan, Left)> {
    end::adopt_orphans()?;
    let (mut stdout, out) = Drain::new(Keep::First(plugin.max_output))?;
    let (mut stderr, err) = Drain::new(Keep::Last(WORDS))?;
    let (ending, left) = match spawn(plugin, out, err)? {
        Err(why) => (Ending::NotStarted(why), Left::Nothing),
        Ok(mut child) => wait(&mut child, &mut stdout, &mut stderr, end)?,
    };
    Ok((PluginRan { ending: Some(ending), stdout: stdout.into_kept(), stderr: stderr.into_kept() }, left))
}

/// Starts the program. The second error is about the program itself.
fn spawn(plugin: &Plugin, out: OwnedFd, err: OwnedFd) -> Result<std::result::Result<Child, String>> {
    let input = input(&plugin.input).map_err(|e| failure::kernel("write", "the plugin's input", e))?;
    let mut command = Command::new(&plugin.path);
    command.stdin(input).stdout(out).stderr(err).process_group(0);
    // Nobody would keep its time or read its answer any more.
    sys::end_with_this_process(&mut command);
    let (path, args, env) = match program(plugin) {
        Ok(program) => program,
        Err(nul) => return Ok(Err(nul.to_string())),
    };
    sys::execute_exactly(&mut command, path, args, env);
    match command.spawn() {
        Ok(child) => Ok(Ok(child)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE)) => {
            Err(failure::kernel("start", plugin.path.display().to_string(), e))
        }
        Err(e) => Ok(Err(e.to_string())),
    }
}

/// The path, the arguments with the program's name, and the environment, as the kernel takes them.
fn program(plugin: &Plugin) -> std::result::Result<(CString, Vec<CString>, Vec<CString>), NulError> {
    let path = CString::new(plugin.path.as_os_str().as_bytes())?;
    let args = plugin.arguments.iter().map(|argument| CString::new(argument.as_str()));
    let env = plugin.environment.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
    Ok((
        path.clone(),
        [Ok(path)].into_iter().chain(args).collect::<std::result::Result<_, _>>()?,
        env.collect::<std::result::Result<_, _>>()?,
    ))
}

/// The input as a file: a plugin may read it or not.
fn input(bytes: &[u8]) -> std::io::Result<std::fs::File> {
    let mut file = std::fs::File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn wait(child: &mut Child, stdout: &mut Drain, stderr: &mut Drain, end: Instant) -> Result<(Ending, Left)> {
    let fail = |errno: Errno| failure::kernel("wait for", "the plugin", errno);
    let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH).map_err(fail)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(fail)?;
    loop {
        let exited = until_something(&pidfd, stdout, stderr, end).map_err(fail)?;
        stdout.take();
        stderr.take();
        if stdout.flooded() {
            return Ok((Ending::Flooded(true), end::everything(child)));
        }
        if exited {
            // Somebody that it left behind may keep its output open; that is not waited for.
            let status = child.wait().map_err(|e| failure::kernel("wait for", "the plugin", e))?;
            let left = if status.success() { Left::Nothing } else { end::everything(child) };
            return Ok((ending(status), left));
        }
        if Instant::now() >= end {
            return Ok((Ending::Late(true), end::everything(child)));
        }
    }
}

/// Waits for the exit, for output, or for the end of the time. Returns whether the plugin has exited.
fn until_something(pidfd: &OwnedFd, stdout: &Drain, stderr: &Drain, end: Instant) -> rustix::io::Result<bool> {
    let outputs = [stdout, stderr].into_iter().filter_map(Drain::waiting);
    let mut fds = vec![PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    fds.extend(outputs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let left = end.saturating_duration_since(Instant::now());
    let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    match poll(&mut fds, Some(&limit)) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Killed(signal.unwrap_or(0)),
    }
}
