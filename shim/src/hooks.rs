// SPDX-License-Identifier: Apache-2.0
//! Hooks of the OCI runtime specification.
//!
//! | point | when | by whom, in which namespaces | status |
//! |---|---|---|---|
//! | prestart, createRuntime | mounted, before the pivot | shim, its own | creating |
//! | createContainer | right after | child, the container's; the host's files are still there | creating |
//! | startContainer | right before the program | child, as the program's user and with its rights | created |
//! | poststart | the program runs | shim, its own | running |
//! | poststop | the container has ended and is recorded | shim, its own | stopped |
//!
//! Hooks on the host are programs of the node's owner (they come from files in /etc). One of startContainer is the
//! image's: it gets no right and no descriptor that the container's program does not get.

use crate::failure::{self, Failure, Kind, Result};
use crate::sys;
use crate::wire::{Hook, Hooks};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long one hook may take that says nothing else.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);
/// How long any may take: less than what the daemon waits for a start.
const LONGEST: Duration = Duration::from_secs(100);
/// How much of what a hook printed last is in the error.
const TAIL: usize = 1024;
/// What a pipe holds, in bytes.
const PIPE: usize = 64 << 10;
/// For hooks that say nothing else.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the bundle that the state names: tools look into its config.json for the root.
pub fn make_bundle(hooks: &Hooks, owner: (u32, u32)) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
    let bundle = Path::new(&hooks.bundle);
    let fail = |e| failure::kernel("make bundle", &hooks.bundle, e);
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(bundle.join("rootfs")).map_err(fail)?;
    let path = bundle.join("config.json");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(fail)?;
    fchown(&file, Some(owner.0), Some(owner.1)).map_err(fail)?;
    std::io::Write::write_all(&mut file, &hooks.config).map_err(fail)
}

/// Where the container's root stands, in its own mount namespace, until the pivot.
pub fn rootfs(hooks: &Hooks) -> std::path::PathBuf {
    Path::new(&hooks.bundle).join("rootfs")
}

/// Whether some hook runs before the pivot.
pub fn before_pivot(hooks: &Hooks) -> bool {
    ["prestart", "createRuntime", "createContainer"].iter().any(|point| has(hooks, point))
}

/// Whether some hook runs at that point.
pub fn has(hooks: &Hooks, point: &str) -> bool {
    hooks.hooks.iter().any(|hook| hook.name == point)
}

/// Runs those of a point, in order, as this process is; the first that fails is the error.
pub fn run(hooks: &Hooks, point: &str, status: &str, pid: i32) -> Result<()> {
    let state = format!("{},\"status\":\"{status}\",\"pid\":{pid}}}", hooks.state);
    let last = Instant::now() + LONGEST;
    hooks.hooks.iter().filter(|hook| hook.name == point).try_for_each(|hook| run_one(hook, &state, last))
}

fn run_one(hook: &Hook, state: &str, last: Instant) -> Result<()> {
    let limit = if hook.timeout_ms == 0 { DEFAULT_LIMIT } else { Duration::from_millis(hook.timeout_ms.into()) };
    let end = last.min(Instant::now() + limit);
    let (read, write) =
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| failed(hook, &e.to_string()))?;
    // The hook's own ends block, as programs expect.
    rustix::io::ioctl_fionbio(&write, false).map_err(|e| failed(hook, &e.to_string()))?;
    let mut child = spawn(hook, state, write)?;
    let mut said = Vec::new();
    match wait(&child, &read, &mut said, end) {
        Ok(true) => {}
        Ok(false) => {
            kill(&mut child);
            let mut failure = failed(hook, &format!("does not end within {limit:?}{}", words(&said)));
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
        Ok(status) => Err(failed(hook, &format!("{}{}", ending(status), words(&said)))),
        Err(e) => Err(failed(hook, &e.to_string())),
    }
}

fn spawn(hook: &Hook, state: &str, output: OwnedFd) -> Result<Child> {
    // A process of the container may have given this one a keyring of its own (KEYCTL_SESSION_TO_PARENT).
    crate::keyring::leave_the_shims()?;
    let fail = |e: std::io::Error| failed(hook, &e.to_string());
    let copy = output.try_clone().map_err(fail)?;
    let mut command = Command::new(&hook.path);
    if let Some((name, args)) = hook.args.split_first() {
        command.arg0(name).args(args);
    }
    let env = hook.env.iter().filter_map(|v| v.split_once('='));
    command.env_clear().env("PATH", DEFAULT_PATH).envs(env);
    // Its own process group: with a limit passed, its children end, too.
    command.stdin(input(state).map_err(fail)?).stdout(copy).stderr(output).process_group(0);
    // A start that is given up ends whoever runs the hook by SIGKILL.
    sys::end_with_this_process(&mut command);
    command.spawn().map_err(fail)
}

/// The state as a file: a hook may read it, or not.
fn input(state: &str) -> std::io::Result<Stdio> {
    let file = memfd_create("state", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    std::io::Write::write_all(&mut file, state.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

/// Waits for the end and takes in what is printed; false when the time is over first.
fn wait(child: &Child, output: &OwnedFd, said: &mut Vec<u8>, end: Instant) -> rustix::io::Result<bool> {
    let pid = Pid::from_raw(child.id() as i32).ok_or(rustix::io::Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut open = true;
    loop {
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if open {
            fds.push(PollFd::new(output, PollFlags::IN));
        }
        let left = end.saturating_duration_since(Instant::now());
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let ended = !fds[0].revents().is_empty();
        open = open && take(output, said);
        if ended {
            return Ok(true);
        }
        // Of a hook that never stops printing there is always something to take: poll alone may never run out.
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

/// Takes at most what a pipe holds, so that one who writes as fast does not keep this here; false at the end of it.
fn take(output: &OwnedFd, said: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    for _ in 0..PIPE / chunk.len() {
        match rustix::io::read(output, &mut chunk) {
            Ok(0) => return false,
            Ok(n) => {
                said.extend_from_slice(&chunk[..n]);
                let old = said.len().saturating_sub(TAIL);
                said.drain(..old);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
    true
}

fn kill(child: &mut Child) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

fn failed(hook: &Hook, why: &str) -> Failure {
    failure::refused(Kind::FailedPrecondition, "run hook", format!("{} {}", hook.name, hook.path), why)
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
    }
}

fn words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { String::new() } else { format!(" and said: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(script: &str, timeout_ms: u32) -> Hooks {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        let hook = Hook { name: "poststart".into(), path: "/bin/sh".into(), args, timeout_ms, ..Default::default() };
        Hooks { hooks: vec![hook], state: "{\"id\":\"c1\"".into(), ..Default::default() }
    }

    #[test]
    fn a_hook_reads_the_state_and_its_words_are_in_the_error() {
        let read = hooks("read -r line; echo \"$line\" >&2; exit 3", 0);
        let error = run(&read, "poststart", "running", 7).unwrap_err();
        assert!(error.message.contains("ended with code 3 and said:"), "{error:?}");
        assert!(error.message.contains(r#"{"id":"c1","status":"running","pid":7}"#), "{error:?}");
        assert!(run(&read, "poststop", "stopped", 0).is_ok(), "of another point");
    }

    #[test]
    fn a_hook_that_does_not_end_is_ended_with_its_children() {
        let begun = Instant::now();
        let error = run(&hooks("sleep 60 & echo waiting; wait", 200), "poststart", "running", 7).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.message.contains("waiting") && begun.elapsed() < Duration::from_secs(10), "{error:?}");
    }

    #[test]
    fn much_output_and_a_child_that_keeps_the_pipe_hold_nothing_up() {
        let begun = Instant::now();
        run(&hooks("head -c 300000 /dev/zero; sleep 5 & exit 0", 20_000), "poststart", "running", 7).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_hook_that_never_stops_printing_is_ended_in_time() {
        let begun = Instant::now();
        let error =
            run(&hooks("for i in 1 2 3 4; do cat /dev/zero & done; wait", 300), "poststart", "running", 7).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut hooks = hooks("", 0);
        hooks.hooks[0].path = "/no/such/hook".into();
        let error = run(&hooks, "poststart", "running", 7).unwrap_err();
        assert!(error.message.contains("/no/such/hook"), "{error:?}");
    }
}
