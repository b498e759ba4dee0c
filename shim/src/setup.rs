// SPDX-License-Identifier: Apache-2.0
//! Starting a container: the parent's script. Each step's undo is known before the step is taken; when one fails,
//! everything is undone and the state says why.

use crate::capabilities;
use crate::cgroup::{self, Cgroup};
use crate::child::Child;
use crate::descriptor::duplicate;
use crate::device_policy;
use crate::devices;
use crate::failure::{self, Kind, Result};
use crate::fault::{self, Outcome};
use crate::gate::{self, Keeper};
use crate::hooks;
use crate::io::{self, Ends, Stdio};
use crate::log::Log;
use crate::mounts::{self, Plan};
use crate::namespaces::Namespaces;
use crate::newborn;
use crate::null;
use crate::overlay;
use crate::program::Program;
use crate::rootfs::Root;
use crate::state::State;
use crate::sys::{self, Forked, Single};
use crate::terminal;
use crate::user;
use crate::volumes;
use crate::wire::{self, Hooks, Start, namespace};
use rustix::fs::OFlags;
use rustix::process::WaitId;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A started container: what its shim keeps.
#[derive(Debug)]
pub struct Container {
    /// The first process; readable once it has ended.
    pub pidfd: OwnedFd,
    /// Its pid in the shim's namespace.
    pub pid: i32,
    /// Its cgroup.
    pub cgroup: Cgroup,
    /// Its output and input.
    pub stdio: Stdio,
    /// Its devpts, to open terminals for execs from.
    pub devpts: Option<OwnedFd>,
    /// The null device, for streams that nobody wants; see [`null::detached`].
    pub null: OwnedFd,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// What an exec has in common with it.
    pub program: Program,
    /// The host's id of its user.
    pub host_uid: u32,
    /// The score that execs get, too.
    pub oom_score_adj: Option<i32>,
    /// For after its end; only when there are any.
    pub hooks: Option<Hooks>,
    /// The device program that was loaded for it; for the daemon, which gives it to the next with the same rules.
    pub device_program: Option<OwnedFd>,
    /// For the processes that its shim still makes.
    pub single: Single,
}

/// Starts the container. On failure nothing of it is left but the record.
///
/// - Shapes: `device_program` is a loaded one for the device rules of `start`.
pub fn start(
    start: &mut Start,
    device_program: Option<OwnedFd>,
    state: &mut State,
    single: Single,
) -> Result<Container> {
    state.change(|_| {})?;
    let place = start.cgroup.as_ref().ok_or_else(|| missing("cgroup"))?;
    let root_dir = PathBuf::from(&start.root_dir);
    let fresh = !overlay::has_files(&root_dir);
    let cgroup = cgroup::create(place, start.resources.as_ref());
    let place = place.clone();
    let started = cgroup.and_then(|cgroup| in_cgroup(start, device_program, state, cgroup, single));
    if let Err(failure) = &started {
        let _ = cgroup::kill(&place);
        let _ = cgroup::remove(&place);
        // Files that an earlier container left are all there is of them.
        if fresh {
            overlay::remove(&root_dir);
            volumes::remove(&root_dir);
        }
        state.start_failed(failure)?;
        if let Some(hooks) = &start.hooks {
            state.poststop(hooks);
        }
    }
    started
}

fn missing(what: &'static str) -> failure::Failure {
    failure::refused(Kind::InvalidArgument, "check request", what, "is missing")
}

/// Everything that the child and the shim need, made before the clone.
struct Prepared {
    namespaces: Namespaces,
    overlay: OwnedFd,
    plan: Plan,
    program: Program,
    ends: Ends,
    streams: [OwnedFd; 3],
    null: OwnedFd,
    log: Log,
}

fn in_cgroup(
    start: &mut Start,
    device_program: Option<OwnedFd>,
    state: &mut State,
    cgroup: Cgroup,
    single: Single,
) -> Result<Container> {
    let mut prepared = prepare(start, &cgroup, single)?;
    let start = &*start;
    let devpts = prepared.plan.devpts.as_ref().map(|devpts| duplicate(devpts, "devpts")).transpose()?;
    let terminal = start.process.as_ref().is_some_and(|p| p.tty);
    let rules = devices::with_always_allowed(&start.device_rules);
    let device_program = device_policy::apply(&cgroup, &rules, device_program)?;
    let (watcher, reporter) = fault::channel()?;
    let early = start.hooks.as_ref().filter(|hooks| hooks::before_pivot(hooks));
    let (keeper, waiter) = early.map(|_| gate::pair()).transpose()?.unzip();
    let (pid, pidfd) = match prepared.namespaces.fork(single, cgroup.unified())? {
        Forked::Parent { pid, pidfd } => (pid, pidfd),
        Forked::Child(in_child) => {
            drop((keeper, watcher));
            Child {
                start,
                cgroup: &cgroup,
                namespaces: &prepared.namespaces,
                overlay: prepared.overlay,
                plan: prepared.plan,
                program: &prepared.program,
                streams: prepared.streams.each_ref(),
                terminal,
                gate: waiter,
            }
            .run(in_child, reporter)
        }
    };
    drop((reporter, waiter, prepared.streams, prepared.plan, prepared.overlay));
    if let (Some(hooks), Some(keeper)) = (early, keeper) {
        at_the_gate(hooks, &keeper, pid).inspect_err(|_| kill(&pidfd))?;
    }
    // Until here it was the process that sets up.
    let (pid, pidfd) = match prepared.namespaces.pin(namespace::Kind::Pid) {
        Some(_) => newborn::meet(&pidfd, &watcher)?,
        None => (pid, pidfd),
    };
    if let Outcome::Failed(failure) = watcher.wait() {
        reap(&pidfd);
        return Err(failure);
    }
    if let Some(hooks) = &start.hooks {
        hooks::run(hooks, "poststart", "running", pid).inspect_err(|_| kill(&pidfd))?;
    }
    let stdin_once = start.stdin_once;
    let stdio = Stdio::new(prepared.log, prepared.ends, stdin_once).map_err(|e| failure::kernel("set up", "stdio", e));
    let recorded = stdio.and_then(|stdio| state.running(pid, &prepared.program.user).map(|()| stdio));
    let stdio = recorded.inspect_err(|_| kill(&pidfd))?;
    prepared.program.hooks = None;
    let (namespaces, program, null) = (prepared.namespaces, prepared.program, prepared.null);
    let oom_score_adj = start.process.as_ref().and_then(|p| p.oom_score_adj).map(|adj| adj.value);
    let host_uid = devices::map(start, program.user.uid, true);
    let hooks = start.hooks.clone().filter(|hooks| hooks::has(hooks, "poststop"));
    Ok(Container {
        pidfd,
        pid,
        cgroup,
        stdio,
        devpts,
        null,
        namespaces,
        program,
        host_uid,
        oom_score_adj,
        hooks,
        device_program,
        single,
    })
}

/// What happens while the child waits: everything is mounted, nothing pivoted.
fn at_the_gate(hooks: &Hooks, keeper: &Keeper, pid: i32) -> Result<()> {
    if !keeper.arrived() {
        return Ok(()); // It has failed; the fault channel says why.
    }
    hooks::run(hooks, "prestart", "creating", pid)?;
    hooks::run(hooks, "createRuntime", "creating", pid)?;
    keeper.open(pid)
}

fn prepare(start: &mut Start, cgroup: &Cgroup, single: Single) -> Result<Prepared> {
    let process = start.process.clone().ok_or_else(|| missing("process"))?;
    let process = &process;
    let rootfs = start.rootfs.as_ref().ok_or_else(|| missing("rootfs"))?;
    let namespaces = Namespaces::open(&start.namespaces, start.private_cgroup_namespace)?;
    let log = Log::open(Path::new(&start.log_path), process.tty)
        .map_err(|e| failure::refused(Kind::Internal, "open log", &start.log_path, &e.to_string()))?;
    let user_namespace = namespaces.pin(namespace::Kind::User);
    let owner = devices::host_root(start);
    let overlay = overlay::writable(rootfs, Path::new(&start.root_dir), user_namespace, owner, single)?;
    let root = Root::new(overlay);
    let user = user::resolve(&root, process.user.as_ref().unwrap_or(&wire::User::default()))?;
    let asked = process.capabilities.unwrap_or_default();
    let grant = capabilities::grant(&asked, capabilities::held()?);
    devices::give_to_process(&mut start.devices, &user);
    let mut program = Program::new(process, user, grant)?;
    if let Some(hooks) = &start.hooks {
        hooks::make_bundle(hooks, owner)?;
        program.hooks = Some(hooks.clone()).filter(|hooks| hooks::has(hooks, "startContainer"));
    }
    let plan = mounts::prepare(start, cgroup, &namespaces, single)?;
    let null = null::detached()?;
    let (ends, streams) = streams(start, process.tty, &plan, &null)?;
    for stream in &streams {
        terminal::give_to(stream, devices::map(start, program.user.uid, true))?;
    }
    Ok(Prepared { namespaces, overlay: root.into_fd(), plan, program, ends, streams, null, log })
}

/// The container's stdin, stdout and stderr, and the shim's ends of them.
fn streams(start: &Start, tty: bool, plan: &Plan, null: &OwnedFd) -> Result<(Ends, [OwnedFd; 3])> {
    if tty {
        let devpts = plan.devpts.as_ref().ok_or_else(|| missing("devpts mount for a terminal"))?;
        let pair = terminal::open(devpts, None)?;
        let copies = [duplicate(&pair.slave, "terminal")?, duplicate(&pair.slave, "terminal")?, pair.slave];
        return Ok((Ends::Terminal { master: pair.master }, copies));
    }
    let input = if start.stdin { None } else { Some(null::open(null, OFlags::RDONLY)?) };
    let (ends, child) = io::pipes(input).map_err(|e| failure::kernel("make pipe", "stdio", e))?;
    Ok((ends, [child.stdin, child.stdout, child.stderr]))
}

/// Ends a child that has gone too far to end by itself.
fn kill(pidfd: &OwnedFd) {
    let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    reap(pidfd);
}

fn reap(pidfd: &OwnedFd) {
    let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), rustix::process::WaitIdOptions::EXITED);
}
