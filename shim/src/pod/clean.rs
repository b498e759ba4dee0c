// SPDX-License-Identifier: Apache-2.0
//! Undoes a pod, however far its set-up got: everything is found by its path, and nothing depends on remembered state.
//!
//! The order: first what can still act (processes), then what keeps namespaces alive (pins), then what depends on both
//! (interface, cgroups). A failing step does not stop the others; the first failure is reported.
//!
//! The host end of the pod's veth disappears with the namespace, which the kernel destroys by itself about 20 ms after its
//! last user has left; nothing waits for that. The addresses are removed before, so that the next pod can have them at
//! once. Only if something keeps the namespace alive is the interface deleted explicitly, after the reply.

use super::lock::{RunDir, lock};
use super::namespaces::{self, PinPaths, pin_paths};
use super::shm;
use crate::cgroup::{self, Layout, Place};
use crate::failure::Result;
use crate::malformed::{self, Malformed, absolute, each, non_empty, required};
use crate::network::{self, Peer, Route};
use crate::wire::CleanPod;
use rustix::process::{Pid, Signal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long killed processes may take to leave the network namespace.
const LEAVE: Duration = Duration::from_millis(200);

/// A pod to be undone: a checked [`CleanPod`].
#[derive(Debug)]
pub struct Clean {
    run_dir: PathBuf,
    pins: PinPaths,
    net: Net,
    /// The cgroup to kill and remove; `None`: it is the client's, or there is none.
    own: Option<Place>,
    /// Cgroups to remove afterwards if they are empty.
    empty: Vec<Place>,
    host_interface: Option<String>,
}

/// Whose the pod's network namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    /// The pod's: its addresses go with it.
    Own,
    /// Another pod's, which goes on.
    Joined,
}

impl Clean {
    /// Checks the message.
    ///
    /// # Errors
    /// `InvalidArgument`, with the first invalid field.
    pub fn checked(request: CleanPod) -> Result<Self> {
        Ok(check(request)?)
    }
}

fn check(request: CleanPod) -> malformed::Result<Clean> {
    let (layout, path) = request.cgroup.map(|cgroup| (cgroup.layout, cgroup.path)).unzip();
    let within = |wrong: Malformed| wrong.within("cgroup");
    let layout = layout.flatten().map(Layout::checked).transpose().map_err(|wrong| within(wrong.within("layout")))?;
    let at = |field: &str, path: &str| Place::new(required("cgroup.layout", layout.clone())?, field, path);
    // Without a path, it only carries the layout: the cgroup is the client's.
    let own = path.and_then(non_empty).map(|path| at("cgroup.path", &path)).transpose()?;
    let run_dir = PathBuf::from(absolute("run_dir", request.run_dir)?);
    Ok(Clean {
        pins: pin_paths(&run_dir, request.netns)?,
        run_dir,
        net: if request.joined_net { Net::Joined } else { Net::Own },
        own,
        empty: each("remove_empty_cgroups", request.remove_empty_cgroups, |path| at("", &path))?,
        host_interface: non_empty(request.host_interface),
    })
}

/// Undoes whatever exists of the pod. Idempotent.
///
/// # Errors
/// The first step that failed; all others were still run. `DeadlineExceeded` when another process works on the pod and
/// does not exit.
pub fn clean(request: &Clean) -> Result<()> {
    let _lock = match lock(&request.run_dir) {
        Err(failure) if failure.errno == libc::ENOENT => None,
        other => Some(other?),
    };
    let result = undo(&request.run_dir, &request.pins, request.net, request.own.as_ref(), _lock.as_ref());
    let others = request.empty.iter().try_for_each(cgroup::remove_if_empty);
    result.and(others)
}

/// Undoes everything of the pod itself, including the cgroup `own`. The lock proves that no other process works on it.
pub(super) fn undo(
    run_dir: &Path,
    pins: &PinPaths,
    net: Net,
    own: Option<&Place>,
    _lock: Option<&RunDir>,
) -> Result<()> {
    let killed = own.map_or(Ok(false), cgroup::kill);
    let silenced = if net == Net::Own { silence(pins) } else { Ok(()) };
    let unpinned = namespaces::unpin_all(pins);
    let unmounted = shm::remove(run_dir);
    let removed = own.filter(|_| !matches!(killed, Ok(false))).map_or(Ok(()), remove_cgroup);
    killed.and(silenced).and(unpinned).and(unmounted).and(removed)
}

/// Removes the cgroup. If that fails, processes that `cgroup.kill` did not reach (it may have left the cgroup2 hierarchy
/// alone) are killed one by one.
fn remove_cgroup(place: &Place) -> Result<()> {
    cgroup::remove(place).or_else(|_| {
        for pid in cgroup::processes(place)?.into_iter().filter_map(Pid::from_raw) {
            // ESRCH: it has exited by itself.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        cgroup::remove(place)
    })
}

/// Removes the addresses from the interfaces in the pod's network namespace.
fn silence(pins: &PinPaths) -> Result<()> {
    let path = pins.of("net");
    let own = namespaces::open_path(Path::new("/proc/self/ns/net"))?;
    let Ok(netns) = namespaces::open_path(&path) else { return Ok(()) };
    if namespaces::enter_net(&netns, &path).is_err() {
        // A set-up that was killed before it mounted the pin leaves an empty file.
        return Ok(());
    }
    let forgotten = Route::open().and_then(|mut route| network::forget_addresses(&mut route));
    namespaces::enter_net(&own, Path::new("/proc/self/ns/net"))?;
    forgotten
}

/// After the reply: waits for the host end to disappear, and deletes it if something keeps the pod's namespace alive (a
/// process that was never in the cgroup, a connection that the daemon still holds).
///
/// Nothing waits for this: the addresses are already removed, and names are not reused. If it fails, the interface is
/// found later, when the node's interfaces are reconciled with its pods.
pub fn see_off_interface(request: &Clean) {
    let Some(name) = &request.host_interface else { return };
    let _ = Route::open().and_then(|mut route| {
        let (end, mut pause) = (Instant::now() + LEAVE, Duration::from_millis(2));
        loop {
            match network::peer_of(&mut route, name)? {
                Peer::NoInterface | Peer::Ending => return Ok(()),
                Peer::InUse if Instant::now() < end => std::thread::sleep(pause),
                Peer::InUse => return network::delete(&mut route, name),
            }
            pause *= 2;
        }
    });
}
