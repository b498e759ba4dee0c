// SPDX-License-Identifier: Apache-2.0
//! The checked id maps of a user namespace.

use crate::failure;
use crate::malformed::{Malformed, Result, each};
use crate::wire::{IdMap, UserMapping};
use std::fmt::Write as _;

/// How uids and gids of a user namespace map to the host's. The default has no maps: ids are the same on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMaps {
    uids: Vec<IdMap>,
    gids: Vec<IdMap>,
}

impl IdMaps {
    /// Checks the maps of a user namespace, which has at least one map of each kind.
    ///
    /// # Errors
    /// For an empty list, and for a map that is empty or leaves the range of ids.
    pub fn checked(mapping: UserMapping) -> Result<Self> {
        let maps = Self::of("uids", mapping.uids, "gids", mapping.gids)?;
        match (maps.uids.is_empty(), maps.gids.is_empty()) {
            (false, false) => Ok(maps),
            (true, _) => Err(Malformed::new("uids", "is empty")),
            (_, true) => Err(Malformed::new("gids", "is empty")),
        }
    }

    /// Checks the maps of a mount, of which one list may be empty. `None` when both are.
    ///
    /// # Errors
    /// For a map that is empty, or leaves the range of ids.
    pub fn of_mount(uids: Vec<IdMap>, gids: Vec<IdMap>) -> Result<Option<Self>> {
        let maps = Self::of("uid_mappings", uids, "gid_mappings", gids)?;
        Ok(Some(maps).filter(|maps| !maps.is_identity()))
    }

    fn of(uid_field: &str, uids: Vec<IdMap>, gid_field: &str, gids: Vec<IdMap>) -> Result<Self> {
        Ok(Self { uids: each(uid_field, uids, range)?, gids: each(gid_field, gids, range)? })
    }

    /// Whether ids are the same on both sides.
    pub fn is_identity(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// The host's uid for a uid in the container.
    pub fn host_uid(&self, uid: u32) -> u32 {
        translate(&self.uids, uid)
    }

    /// The host's gid for a gid in the container.
    pub fn host_gid(&self, gid: u32) -> u32 {
        translate(&self.gids, gid)
    }

    /// The container's root as host ids.
    pub fn host_root(&self) -> (u32, u32) {
        (self.host_uid(0), self.host_gid(0))
    }

    /// Writes the maps of the user namespace that process `pid` has created.
    ///
    /// # Errors
    /// The kernel's error, with the map.
    pub fn write(&self, pid: i32) -> failure::Result<()> {
        for (file, maps) in [("uid_map", &self.uids), ("gid_map", &self.gids)] {
            let mut lines = String::new();
            for map in maps {
                let _ = writeln!(lines, "{} {} {}", map.container_id, map.host_id, map.length);
            }
            std::fs::write(format!("/proc/{pid}/{file}"), &lines)
                .map_err(|e| failure::kernel("map ids", format!("{file} {}", lines.trim_end()), e))?;
        }
        Ok(())
    }
}

fn range(map: IdMap) -> Result<IdMap> {
    let fits = |first: u32| map.length > 0 && first.checked_add(map.length - 1).is_some();
    if fits(map.container_id) && fits(map.host_id) {
        return Ok(map);
    }
    let IdMap { container_id, host_id, length } = map;
    Err(Malformed::new("", format!("{length} ids from {container_id} at {host_id} are not a valid range")))
}

fn translate(maps: &[IdMap], id: u32) -> u32 {
    let map = maps.iter().find(|m| id >= m.container_id && id - m.container_id < m.length);
    map.map_or(id, |m| m.host_id + (id - m.container_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, length: u32) -> IdMap {
        IdMap { container_id, host_id, length }
    }

    #[test]
    fn ids_are_translated_by_the_map_that_has_them() {
        let uids = vec![map(0, 70_000, 10), map(10, 5, 1)];
        let maps = IdMaps::checked(UserMapping { uids, gids: vec![map(0, 9, 100)] }).unwrap();
        let translated = [0, 9, 10, 11].map(|uid| maps.host_uid(uid));
        assert_eq!((translated, maps.host_root()), ([70_000, 70_009, 5, 11], (70_000, 9)));
        assert_eq!(IdMaps::default().host_root(), (0, 0));
    }

    #[test]
    fn maps_that_are_empty_or_leave_the_range_are_refused() {
        let good = || vec![map(0, 70_000, 10)];
        for (uids, gids, named) in [
            (vec![], good(), "uids: is empty"),
            (good(), vec![], "gids: is empty"),
            (vec![map(0, 0, 0)], good(), "uids[0]: 0 ids"),
            (good(), vec![map(0, 1, 1), map(1, u32::MAX, 2)], "gids[1]: 2 ids from 1"),
        ] {
            let failure = failure::Failure::from(IdMaps::checked(UserMapping { uids, gids }).unwrap_err());
            assert!(failure.message.contains(named), "{}", failure.message);
        }
    }
}
