// SPDX-License-Identifier: Apache-2.0
//! The namespaces of a container, and the id maps of a user namespace. A container always has its own mount namespace.

use gorae_kernel::process::ProcessId;

/// A container's namespace of each kind.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// Users and groups.
    pub user: Namespace,
    /// Interfaces, addresses, ports.
    pub network: Namespace,
    /// The host name.
    pub uts: Namespace,
    /// Shared memory, semaphores, message queues.
    pub ipc: Namespace,
    /// Processes.
    pub pid: Namespace,
    /// The cgroup root that processes see.
    pub cgroup: Namespace,
}

/// A namespace of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// The node's.
    Node,
    /// A new one.
    New,
    /// The one that is pinned at this absolute path: the pod's.
    Pinned(String),
    /// The namespace of a process on the node. It ends with the process.
    OfProcess(ProcessId),
}

/// The id maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdMap>,
    /// Groups.
    pub gids: Vec<IdMap>,
}

/// A mapped range of ids. It is not empty and does not overflow on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id on the node.
    pub outside: u32,
    /// Number of ids.
    pub length: u32,
}

impl IdMap {
    /// Makes a range; `None` if it is empty or overflows.
    pub fn new(inside: u32, outside: u32, length: u32) -> Option<Self> {
        let more = length.checked_sub(1)?;
        inside.checked_add(more).and(outside.checked_add(more)).map(|_| Self { inside, outside, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stays_in_the_range_of_ids() {
        assert!(IdMap::new(0, 100_000, 65_536).is_some() && IdMap::new(u32::MAX, 0, 1).is_some());
        assert_eq!([IdMap::new(0, 0, 0), IdMap::new(u32::MAX, 0, 2), IdMap::new(0, u32::MAX, 2)], [None; 3]);
    }
}
