// SPDX-License-Identifier: Apache-2.0
//! Making a pod: the script of one process that replies and ends.
//!
//! The order lets [`clean`](super::clean()) find everything however early the process is killed: directories and pins come
//! before what they hold, and the veth is born into a namespace that is pinned already.

use super::clean::undo;
use super::init;
use super::lock::{RunDir, lock};
use super::owner::Owner;
use super::{namespaces, shm, sysctl};
use crate::cgroup::{self, Cgroup};
use crate::failure::{self, Failure, Kind, Result};
use crate::fault::{self, Outcome, Watcher};
use crate::network::{self, Network, Route};
use crate::sys::Single;
use crate::wire::{CgroupPlace, CleanPod, PodReady, SetupPod, UserMapping};
use gorae_kernel::process::Stat;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Makes the pod, or undoes what it made so far.
///
/// - Errors: the step that failed; a failed undo is told in the same message.
pub fn setup(request: &SetupPod, single: Single) -> Result<PodReady> {
    let run_dir = Path::new(&request.run_dir);
    if !run_dir.is_absolute() {
        return Err(failure::refused(Kind::InvalidArgument, "check run directory", &request.run_dir, "not absolute"));
    }
    let network = request.network.as_ref().map(Network::checked).transpose()?;
    let lock = lock(run_dir)?;
    let home = namespaces::open_path(Path::new("/proc/self/ns/net"))?;
    let pod = Pod { request, run_dir, network, single };
    pod.make().map_err(|failure| pod.undo(&lock, &home, failure))
}

struct Pod<'a> {
    request: &'a SetupPod,
    run_dir: &'a Path,
    network: Option<Network>,
    single: Single,
}

impl Pod<'_> {
    fn make(&self) -> Result<PodReady> {
        namespaces::make_pin_dir(self.run_dir)?;
        if self.request.own_ipc {
            shm::make(self.run_dir, self.request)?;
        }
        self.request.cgroup.as_ref().map_or(Ok(()), cgroup::ensure)?;
        let cgroup = self.make_init_cgroup()?;
        // Belongs to the node's namespace, wherever this process goes later.
        let mut node = if self.network.is_some() { Some(Route::open()?) } else { None };
        let init_pid = match &self.request.user {
            Some(user) => self.make_owned(user, cgroup.as_ref(), node.as_mut())?,
            None => self.make_here(cgroup.as_ref(), node.as_mut())?,
        };
        let host_interface = self.network.as_ref().and(self.request.network.as_ref());
        Ok(PodReady {
            init_pid: init_pid as u32,
            init_start_ticks: if init_pid == 0 { 0 } else { start_ticks(init_pid)? },
            host_interface: host_interface.map_or_else(String::new, |network| network.host_interface.clone()),
        })
    }

    /// The init gets a cgroup below the pod's: on v2 the pod's own hands controllers down and so may hold no process,
    /// and a client's is not ours to kill.
    fn make_init_cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(place) = self.request.cgroup.as_ref().filter(|_| self.request.own_pid) else { return Ok(None) };
        let path = match self.request.clients_cgroup_init.as_str() {
            "" => format!("{}/init", place.path),
            path => path.to_owned(),
        };
        cgroup::create(&CgroupPlace { path, ..place.clone() }, None).map(Some)
    }

    /// Namespaces of the node's user namespace: this process moves into them.
    fn make_here(&self, cgroup: Option<&Cgroup>, node: Option<&mut Route>) -> Result<i32> {
        let wanted = namespaces::wanted(self.request);
        namespaces::unshare(&wanted)?;
        for (kind, _) in &wanted {
            namespaces::pin(self.run_dir, "self", kind)?;
        }
        let init = self.start_init(cgroup)?;
        if self.request.own_uts {
            namespaces::set_hostname(&self.request.hostname)?;
        }
        self.make_network(node)?;
        sysctl::apply(self.request)?;
        let Some((pid, fault)) = init else { return Ok(0) };
        match fault.wait() {
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(pid),
        }
    }

    /// Namespaces of a user namespace of the pod's own: a child makes them.
    fn make_owned(&self, user: &UserMapping, cgroup: Option<&Cgroup>, node: Option<&mut Route>) -> Result<i32> {
        let owner = Owner::start(self.request, user, cgroup, &self.run_dir.join("ns"), self.single)?;
        let kinds = namespaces::wanted(self.request).into_iter().map(|(kind, _)| kind);
        for kind in kinds.chain(["user"]) {
            namespaces::pin(self.run_dir, &owner.proc_name(), kind)?;
        }
        let init = owner.settle()?;
        if init != 0 {
            namespaces::pin(self.run_dir, &init.to_string(), "pid")?;
        }
        self.make_network(node)?;
        owner.finish().map(|()| init)
    }

    fn start_init(&self, cgroup: Option<&Cgroup>) -> Result<Option<(i32, Watcher)>> {
        if !self.request.own_pid {
            return Ok(None);
        }
        let (fault, reporter) = fault::channel()?;
        let mount_point = &self.run_dir.join("ns");
        let plan = init::Plan { cgroup, mount_point, own_user: false };
        let pid = init::spawn(&plan, &reporter, self.single)?;
        namespaces::pin(self.run_dir, &pid.to_string(), "pid")?;
        Ok(Some((pid, fault)))
    }

    /// The veth pair from the node's side, then everything inside. Leaves the process in the pod's namespace.
    fn make_network(&self, node: Option<&mut Route>) -> Result<()> {
        if !self.request.own_net {
            return Ok(());
        }
        let netns = namespaces::open(self.run_dir, "net")?;
        if let (Some(network), Some(node)) = (&self.network, node) {
            network::create(node, network, netns.as_fd())?;
        }
        if self.request.user.is_some() {
            namespaces::enter_net(&netns, &namespaces::pin_path(self.run_dir, "net"))?;
        }
        let mut inside = Route::open()?;
        match &self.network {
            Some(network) => network.configure(&mut inside),
            None => network::loopback_up(&mut inside),
        }
    }

    /// Back in the node's network namespace, cleans up as for a pod that was found half made.
    fn undo(&self, lock: &RunDir, home: &OwnedFd, failure: Failure) -> Failure {
        let mut cgroup = self.request.cgroup.clone();
        if let (Some(place), false) = (&mut cgroup, self.request.clients_cgroup_init.is_empty()) {
            place.path.clone_from(&self.request.clients_cgroup_init);
        }
        let request = CleanPod {
            pod_id: self.request.pod_id.clone(),
            run_dir: self.request.run_dir.clone(),
            cgroup,
            // Goes with the namespace.
            host_interface: String::new(),
            remove_empty_cgroups: Vec::new(),
        };
        let undone = namespaces::enter_net(home, Path::new("/proc/self/ns/net")).and(undo(&request, Some(lock)));
        match undone {
            Ok(()) => failure,
            Err(second) => {
                let message = format!("{}; undoing it: {}", failure.message, second.message);
                Failure { message, ..failure }
            }
        }
    }
}

/// When the process was started, which tells a reused pid.
fn start_ticks(pid: i32) -> Result<u64> {
    let fail = |e| failure::kernel("read", format!("/proc/{pid}/stat"), e);
    let stat = u32::try_from(pid).map_or(Ok(None), Stat::read).map_err(fail)?;
    let start = stat.and_then(|stat| stat.start());
    start.ok_or_else(|| failure::refused(Kind::Internal, "read", format!("/proc/{pid}/stat"), "no start time in it"))
}

#[cfg(test)]
mod tests {
    use super::start_ticks;

    #[test]
    fn the_start_time_of_a_process_does_not_change_and_is_told() {
        let own = start_ticks(std::process::id() as i32).unwrap();
        assert!(own > start_ticks(1).unwrap());
        assert_eq!(start_ticks(std::process::id() as i32).unwrap(), own);
    }
}
