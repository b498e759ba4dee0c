// SPDX-License-Identifier: Apache-2.0
//! Which namespaces a container is in, and the ids of a user namespace. Mounts are always its own.

/// Where a container is, for each kind of namespace.
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
    /// The view of the cgroups.
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
    /// That of a process, which ends with it.
    OfProcess {
        /// Its number on the node.
        pid: u32,
        /// Field 22 of its stat, which tells it from a later process with that number.
        start_ticks: u64,
    },
}

/// The ids of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdMap>,
    /// Groups.
    pub gids: Vec<IdMap>,
}

/// A range of ids, which is not empty and does not leave the range of ids on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The first one inside.
    pub inside: u32,
    /// The first one on the node.
    pub outside: u32,
    /// How many there are.
    pub length: u32,
}

impl IdMap {
    /// `None` for a range that is empty or leaves the range of ids.
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
