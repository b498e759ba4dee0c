// SPDX-License-Identifier: Apache-2.0
//! Runs hooks: each with the state on its standard input, a time limit, and a pipe for its output.

use super::list::{Hook, Hooks, Point};
use crate::drain::{Drain, Keep};
use crate::failure::{self, Failure, Kind, Result};
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Limit for all the hooks of one point together: shorter than the daemon waits for a start.
const LONGEST: Duration = Duration::from_secs(100);
/// How many bytes of a hook's last output are in the error.
const TAIL: usize = 1024;
/// For hooks that set no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the hooks of a point in order, with the credentials and namespaces of this process.
///
/// - Shapes: `pid` is the container's first process as a hook sees it; 0 when there is none.
///
/// # Errors
/// That of the first hook that fails: `FailedPrecondition` with its last output, `DeadlineExceeded` after its time
/// limit.
pub fn run(hooks: &Hooks, point: Point, pid: i32) -> Result<()> {
    if !hooks.has(point) {
        return Ok(());
    }
    let state = format!("{},\"status\":\"{}\",\"pid\":{pid}}}", hooks.state, point.status());
    let last = Instant::now() + LONGEST;
    hooks.list.iter().filter(|hook| hook.point == point).try_for_each(|hook| run_one(hook, &state, last))
}

fn run_one(hook: &Hook, state: &str, last: Instant) -> Result<()> {
    let end = last.min(Instant::now() + hook.limit);
    let (mut said, write) = Drain::new(Keep::Last(TAIL)).map_err(|e| failed(hook, &e.message))?;
    let mut child = spawn(hook, state, write)?;
    match wait(&child, &mut said, end) {
        Ok(true) => {}
        Ok(false) => {
            kill(&mut child);
            let said = words(&said.into_kept());
            let mut failure = failed(hook, &format!("did not exit within {:?}{said}", hook.limit));
            failure.set_kind(Kind::DeadlineExceeded);
            return Err(failure);
        }
        Err(e) => {
            kill(&mut child);
            return Err(failed(hook, &e.to_string()));
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(hook, &format!("{}{}", ending(status), words(&said.into_kept())))),
        Err(e) => Err(failed(hook, &e.to_string())),
    }
}

fn spawn(hook: &Hook, state: &str, output: OwnedFd) -> Result<Child> {
    // A container process may have given this process a keyring (KEYCTL_SESSION_TO_PARENT).
    crate::keyring::join_new_or_keep()?;
    let fail = |e: std::io::Error| failed(hook, &e.to_string());
    let copy = output.try_clone().map_err(fail)?;
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    let env = hook.env.iter().map(|(name, value)| (name, value));
    command.env_clear().env("PATH", DEFAULT_PATH).envs(env);
    // In its own process group, so that its children are killed as well when the time limit has passed.
    command.stdin(input(state).map_err(fail)?).stdout(copy).stderr(output).process_group(0);
    // When a start is aborted, the process that runs the hook gets SIGKILL, and the hook must die with it.
    sys::end_with_this_process(&mut command);
    command.spawn().map_err(fail)
}

/// The state as a file, which a hook may read or ignore.
fn input(state: &str) -> std::io::Result<Stdio> {
    let file = memfd_create("state", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    std::io::Write::write_all(&mut file, state.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Waits for the exit and collects the output; false when the time runs out first.
fn wait(child: &Child, output: &mut Drain, end: Instant) -> rustix::io::Result<bool> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        fds.extend(output.waiting().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let left = end.saturating_duration_since(Instant::now());
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let ended = !fds[0].revents().is_empty();
        output.take();
        if ended {
            return Ok(true);
        }
        // A hook that never stops printing always has output ready, so poll alone may never time out.
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

fn kill(child: &mut Child) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn failed(hook: &Hook, why: &str) -> Failure {
    failure::refused(Kind::FailedPrecondition, "run hook", format!("{} {}", hook.point.name(), hook.path), why)
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or(0)),
    }
}

fn words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { String::new() } else { format!(" and printed: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn hooks(script: &str, timeout_ms: u32) -> Hooks {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        let hook =
            wire::Hook { name: "poststart".into(), path: "/bin/sh".into(), args, timeout_ms, ..Default::default() };
        let (state, bundle) = ("{\"id\":\"c1\"".to_owned(), "/none".to_owned());
        Hooks::checked(wire::Hooks { hooks: vec![hook], state, bundle, ..Default::default() }).unwrap()
    }

    #[test]
    fn a_hook_reads_the_state_and_its_words_are_in_the_error() {
        let read = hooks("read -r line; echo \"$line\" >&2; exit 3", 0);
        let error = run(&read, Point::Poststart, 7).unwrap_err();
        assert!(error.message.contains("exited with code 3 and printed:"), "{error:?}");
        assert!(error.message.contains(r#"{"id":"c1","status":"running","pid":7}"#), "{error:?}");
        assert!(run(&read, Point::Poststop, 0).is_ok(), "of another point");
    }

    #[test]
    fn a_hook_that_does_not_end_is_ended_with_its_children() {
        let begun = Instant::now();
        let error = run(&hooks("sleep 60 & echo waiting; wait", 200), Point::Poststart, 7).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.message.contains("waiting") && begun.elapsed() < Duration::from_secs(10), "{error:?}");
    }

    #[test]
    fn much_output_and_a_child_that_keeps_the_pipe_hold_nothing_up() {
        let begun = Instant::now();
        run(&hooks("head -c 300000 /dev/zero; sleep 5 & exit 0", 20_000), Point::Poststart, 7).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_hook_that_never_stops_printing_is_ended_in_time() {
        let begun = Instant::now();
        let error =
            run(&hooks("for i in 1 2 3 4; do cat /dev/zero & done; wait", 300), Point::Poststart, 7).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut hooks = hooks("", 0);
        hooks.list[0].path = "/no/such/hook".into();
        let error = run(&hooks, Point::Poststart, 7).unwrap_err();
        assert!(error.message.contains("/no/such/hook"), "{error:?}");
    }
}
