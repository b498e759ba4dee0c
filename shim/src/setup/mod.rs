// SPDX-License-Identifier: Apache-2.0
//! Starts a container: the parent's part. The undo of each step is known before the step is taken; when one fails,
//! everything is undone and the state record gives the reason.

mod spawn;
mod streams;

use crate::capabilities;
use crate::cgroup::{self, Cgroup};
use crate::descriptor::duplicate;
use crate::device_policy;
use crate::devices;
use crate::failure::{self, Failure, Result};
use crate::hooks::{self, Hooks, Point};
use crate::io::Stdio;
use crate::log::Log;
use crate::mounts;
use crate::namespaces::{Kind, Namespaces};
use crate::null;
use crate::order::Order;
use crate::overlay;
use crate::program::Program;
use crate::rootfs::Root;
use crate::state::State;
use crate::sys::Single;
use crate::user;
use crate::volumes;
use spawn::{Spawn, kill};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A started container, as its shim keeps it.
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
    /// Its devpts, from which terminals for execs are opened.
    pub devpts: Option<OwnedFd>,
    /// The null device, for streams that were not requested; see [`null::detached`].
    pub null: OwnedFd,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// The properties that its execs share.
    pub program: Program,
    /// The host's id of its user.
    pub host_uid: u32,
    /// The OOM score, which execs get as well.
    pub oom_score_adj: Option<i32>,
    /// The hooks, kept only if some run after its end.
    pub hooks: Option<Rc<Hooks>>,
    /// The device program that was loaded for it. The daemon reuses it for other containers with the same rules.
    pub device_program: Option<OwnedFd>,
    /// The proof that its shim needs to make more processes.
    pub single: Single,
}

/// Starts the container. After a failure, only its record is left.
///
/// - Shapes: `device_program` is already loaded, for the device rules of the order.
///
/// # Errors
/// The step that failed, which is also recorded.
pub fn start(order: &Order, device_program: Option<OwnedFd>, state: &mut State, single: Single) -> Result<Container> {
    state.change(|_| {})?;
    let fresh = !overlay::has_files(&order.root_dir);
    let cgroup = cgroup::create(order.cgroup.clone(), &order.resources);
    let started = cgroup.and_then(|cgroup| in_cgroup(order, device_program, state, cgroup, single));
    started.map_err(|failure| {
        let _ = cgroup::kill(&order.cgroup);
        let _ = cgroup::remove(&order.cgroup);
        // Files that an earlier start left are the only copy and must be kept.
        if fresh {
            overlay::remove(&order.root_dir);
            volumes::remove(&order.root_dir);
        }
        let unrecorded = state.start_failed(&failure).err();
        if let Some(hooks) = &order.hooks {
            state.poststop(hooks);
        }
        match unrecorded {
            None => failure,
            Some(why) => Failure {
                message: format!("{}; recording this failed too: {}", failure.message, why.message),
                ..failure
            },
        }
    })
}

fn in_cgroup(
    order: &Order,
    device_program: Option<OwnedFd>,
    state: &mut State,
    cgroup: Cgroup,
    single: Single,
) -> Result<Container> {
    let namespaces = Namespaces::open(&order.namespaces)?;
    let log = open_log(order)?;
    let (overlay, mut program) = make_root(order, &namespaces, single)?;
    let plan = mounts::prepare(order, &cgroup, &namespaces, &program.user, single)?;
    let devpts = plan.devpts.as_ref().map(|devpts| duplicate(devpts, "devpts")).transpose()?;
    let null = null::detached()?;
    let host_uid = order.ids.host_uid(program.user.uid);
    let (ends, streams) = streams::make(order, &plan, &null, host_uid)?;
    let device_program =
        device_policy::apply(&cgroup, &devices::with_always_allowed(&order.device_rules), device_program)?;
    let spawn = Spawn { order, cgroup: &cgroup, namespaces: &namespaces, program: &program };
    let (pid, pidfd) = spawn.run(overlay, plan, streams, single)?;
    let stdio = Stdio::new(log, ends, order.stdin_once).map_err(|e| failure::kernel("set up", "stdio", e));
    let recorded = stdio.and_then(|stdio| state.running(pid, &program.user).map(|()| stdio));
    let stdio = recorded.inspect_err(|_| kill(&pidfd))?;
    program.hooks = None;
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
        oom_score_adj: order.process.oom_score_adj,
        hooks: order.hooks.clone().filter(|hooks| hooks.has(Point::Poststop)),
        device_program,
        single,
    })
}

fn open_log(order: &Order) -> Result<Log> {
    Log::open(order.log_path.as_deref(), order.process.terminal).map_err(|e| {
        let path = order.log_path.as_ref().map_or_else(String::new, |path| path.display().to_string());
        failure::refused(failure::Kind::Internal, "open log", path, &e.to_string())
    })
}

/// The container's root, detached, and the program for it, whose user is looked up in there.
fn make_root(order: &Order, namespaces: &Namespaces, single: Single) -> Result<(OwnedFd, Program)> {
    let (user_namespace, owner) = (namespaces.pin(Kind::User), order.ids.host_root());
    let overlay = overlay::writable(&order.rootfs.layers, &order.root_dir, user_namespace, owner, single)?;
    let root = Root::new(overlay);
    let user = user::resolve(&root, &order.process.account)?;
    let grant = capabilities::grant(&order.process.capabilities, capabilities::held()?);
    let mut program = Program::new(&order.process, user, grant);
    if let Some(hooks) = &order.hooks {
        hooks::make_bundle(hooks, owner)?;
        program.hooks = Some(hooks.clone()).filter(|hooks| hooks.has(Point::StartContainer));
    }
    Ok((root.into_fd(), program))
}
