// SPDX-License-Identifier: Apache-2.0
//! The namespaces that a start message requests for a container, checked.

use crate::malformed::{Malformed, Result, absolute, each};
use crate::wire;
use gorae_kernel::process::ProcessId;

pub use crate::wire::namespace::Kind;

/// A requested namespace of a container.
#[derive(Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its kind.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a namespace comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is created for the container.
    New,
    /// It exists, and this file refers to it.
    File(String),
    /// It is the namespace of a process, whose pid may have been reused since.
    Process {
        /// The process.
        process: ProcessId,
        /// The name of the namespace file in its `ns` directory.
        name: String,
    },
}

/// Checks the namespaces of a container, and adds the mount namespace that every container gets.
///
/// # Errors
/// For a kind that is unknown or given twice, and for what no container can have: an existing mount namespace, or a
/// new user namespace.
pub fn checked(list: Vec<wire::Namespace>, private_cgroup: bool) -> Result<Vec<Namespace>> {
    let mut namespaces = each("namespaces", list, one)?;
    for kind in [private_cgroup.then_some(Kind::Cgroup), Some(Kind::Mount)].into_iter().flatten() {
        if !namespaces.iter().any(|namespace| namespace.kind == kind) {
            namespaces.push(Namespace { kind, origin: Origin::New });
        }
    }
    let twice =
        |(n, namespace): &(usize, &Namespace)| namespaces[..*n].iter().any(|other| other.kind == namespace.kind);
    match namespaces.iter().enumerate().find(twice) {
        Some((n, _)) => Err(Malformed::new(format!("namespaces[{n}].kind"), "is given twice")),
        None => Ok(namespaces),
    }
}

fn one(namespace: wire::Namespace) -> Result<Namespace> {
    let kind = Kind::try_from(namespace.kind);
    let kind = kind.map_err(|_| Malformed::new("kind", format!("{} is not a kind of namespace", namespace.kind)))?;
    let origin = match (namespace.path.is_empty(), namespace.start_ticks) {
        (true, 0) => Origin::New,
        (true, _) => return Err(Malformed::new("start_ticks", "is set without a process")),
        (false, 0) => Origin::File(absolute("path", namespace.path)?),
        (false, start_ticks) => of_process(&namespace.path, start_ticks)
            .ok_or_else(|| Malformed::new("path", "is not a namespace of a process"))?,
    };
    match (kind, &origin) {
        (Kind::User, Origin::New) => Err(Malformed::new("path", "a container can only join its pod's user namespace")),
        (Kind::Mount, Origin::File(_) | Origin::Process { .. }) => {
            Err(Malformed::new("path", "a container always gets a new mount namespace"))
        }
        _ => Ok(Namespace { kind, origin }),
    }
}

/// Takes /proc/PID/ns/NAME apart.
fn of_process(path: &str, start_ticks: u64) -> Option<Origin> {
    let (pid, name) = path.strip_prefix("/proc/")?.split_once("/ns/")?;
    let process = ProcessId::from_wire(pid.parse().ok()?, start_ticks)?;
    Some(Origin::Process { process, name: name.into() })
}
