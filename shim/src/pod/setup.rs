// SPDX-License-Identifier: Apache-2.0
//! Sets up a pod, in one process that replies and exits.
//!
//! The order lets [`clean`](super::clean()) find everything, however early the process is killed: directories and pins are
//! made before their contents, and the veth is created in a namespace that is already pinned.

use super::clean::{Net, undo};
use super::init;
use super::lock::{RunDir, lock};
use super::own::Own;
use super::owner::Owner;
use super::request::Setup;
use super::{namespaces, shm, sysctl};
use crate::cgroup::{self, Cgroup, Resources};
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{self, Outcome, Watcher};
use crate::idmap::IdMaps;
use crate::network::{self, Route};
use crate::proc_sys::ProcSys;
use crate::sys::Single;
use crate::wire::PodReady;
use gorae_kernel::process::ProcessId;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Sets up the pod, or undoes everything that was made so far.
///
/// # Errors
/// The step that failed; a failure to undo it is reported in the same message.
pub fn setup(setup: Setup, single: Single) -> Result<PodReady> {
    let lock = lock(&setup.run_dir)?;
    let home = namespaces::open_path(Path::new("/proc/self/ns/net"))?;
    let sys = if setup.has_settings() { ProcSys::own()? } else { ProcSys::nodes()? };
    let pod = Pod { setup, single, home, sys };
    pod.make().map_err(|failure| pod.undo(&lock, failure))
}

struct Pod {
    setup: Setup,
    single: Single,
    /// The node's network namespace.
    home: OwnedFd,
    sys: ProcSys,
}

impl Pod {
    fn make(&self) -> Result<PodReady> {
        let Setup { run_dir, pins, own, ids, network, cgroups, .. } = &self.setup;
        namespaces::make_pin_dir(pins)?;
        if own.ipc {
            shm::make(run_dir, ids.as_ref())?;
        }
        cgroups.as_ref().map_or(Ok(()), |cgroups| cgroup::ensure(&cgroups.pod))?;
        let cgroup = self.make_init_cgroup()?;
        // The socket stays in the node's namespace, whichever one this process enters later.
        let mut node = if network.is_some() { Some(Route::open()?) } else { None };
        let init = match ids {
            Some(ids) => self.make_owned(ids, cgroup.as_ref(), node.as_mut())?,
            None => self.make_here(cgroup.as_ref(), node.as_mut())?,
        };
        let (init_pid, init_start_ticks) = ProcessId::to_wire(init.map(identify).transpose()?);
        Ok(PodReady { init_pid, init_start_ticks })
    }

    fn make_init_cgroup(&self) -> Result<Option<Cgroup>> {
        let cgroups = self.setup.cgroups.as_ref().filter(|_| self.setup.own.pid);
        cgroups.map(|cgroups| cgroup::create(cgroups.init.clone(), &Resources::default())).transpose()
    }

    /// Makes namespaces that the node's user namespace owns: this process moves into them. Returns the pid of the init.
    fn make_here(&self, cgroup: Option<&Cgroup>, node: Option<&mut Route>) -> Result<Option<i32>> {
        let Setup { pins, own, join_net, .. } = &self.setup;
        let wanted = namespaces::wanted(Own { net: own.net && join_net.is_none(), ..*own });
        namespaces::unshare(&wanted)?;
        for (kind, _) in &wanted {
            namespaces::pin(pins, "self", kind)?;
        }
        if let Some(path) = join_net {
            namespaces::enter_net(&namespaces::open_path(path)?, path)?;
            namespaces::pin(pins, "self", "net")?;
        }
        let init = self.start_init(cgroup)?;
        namespaces::set_hostname(self.setup.hostname.as_deref())?;
        self.make_network(node)?;
        sysctl::apply(&self.sys, &self.setup.sysctls)?;
        let Some((pid, fault)) = init else { return Ok(None) };
        match fault.wait() {
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(Some(pid)),
        }
    }

    /// Makes namespaces that the pod's user namespace owns, in a child. Returns the pid of the init.
    fn make_owned(&self, ids: &IdMaps, cgroup: Option<&Cgroup>, node: Option<&mut Route>) -> Result<Option<i32>> {
        let pins = &self.setup.pins;
        let owner = Owner::start(&self.setup, ids, cgroup, &self.sys, self.single)?;
        let kinds = namespaces::wanted(self.setup.own).into_iter().map(|(kind, _)| kind);
        for kind in kinds.chain(["user"]) {
            namespaces::pin(pins, &owner.proc_name(), kind)?;
        }
        let init = owner.settle()?;
        if let Some(init) = init {
            namespaces::pin(pins, &init.to_string(), "pid")?;
        }
        self.make_network(node)?;
        owner.finish().map(|()| init)
    }

    fn start_init(&self, cgroup: Option<&Cgroup>) -> Result<Option<(i32, Watcher)>> {
        if !self.setup.own.pid {
            return Ok(None);
        }
        let (fault, reporter) = fault::channel()?;
        let pins = &self.setup.pins;
        let plan = init::Plan { cgroup, mount_point: pins.dir(), own_user: false };
        let pid = init::spawn(&plan, &reporter, self.single)?;
        namespaces::pin(pins, &pid.to_string(), "pid")?;
        Ok(Some((pid, fault)))
    }

    /// Makes the veth pair from the node's side, then configures everything inside. Leaves this process in the pod's
    /// network namespace.
    fn make_network(&self, node: Option<&mut Route>) -> Result<()> {
        let Setup { pins, own, network, .. } = &self.setup;
        if !own.net {
            return Ok(());
        }
        let netns = namespaces::open(pins, "net")?;
        if let (Some(network), Some(node)) = (network, node) {
            network::create(node, &network.pair(), netns.as_fd())?;
            self.go_home()?;
            network::connect(node, &self.sys, network)?;
        }
        namespaces::enter_net(&netns, &pins.of("net"))?;
        let mut inside = Route::open()?;
        match network {
            Some(network) => network::configure(&mut inside, &self.sys, network),
            None => network::loopback_up(&mut inside),
        }
    }

    fn go_home(&self) -> Result<()> {
        namespaces::enter_net(&self.home, Path::new("/proc/self/ns/net"))
    }

    /// Returns to the node's network namespace and cleans up, as for a pod that was found half made.
    fn undo(&self, lock: &RunDir, failure: Failure) -> Failure {
        let own = self.setup.cgroups.as_ref().map(|cgroups| &cgroups.own);
        let Setup { run_dir, pins, join_net, .. } = &self.setup;
        let net = if join_net.is_some() { Net::Joined } else { Net::Own };
        let undone = self.go_home().and(undo(run_dir, pins, net, own, Some(lock)));
        match undone {
            Ok(()) => failure,
            Err(second) => {
                let message = format!("{}; undoing it failed too: {}", failure.message, second.message);
                Failure { message, ..failure }
            }
        }
    }
}

/// The identity of the init, which has not been reaped.
fn identify(pid: i32) -> Result<ProcessId> {
    let object = || format!("/proc/{pid}/stat");
    let found = ProcessId::of(pid as u32).map_err(|e| failure::kernel("read", object(), e))?;
    found.ok_or_else(|| failure::refused(Kind::Internal, "read", object(), "it has no start time"))
}
