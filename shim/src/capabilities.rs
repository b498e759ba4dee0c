// SPDX-License-Identifier: Apache-2.0
//! Gives a process its user and exactly the requested capabilities, limited to those that the shim holds itself.
//!
//! The order matters. The bounding set can only be reduced while CAP_SETPCAP is held. Changing from root to another
//! user drops capabilities unless "keep" is set. Ambient capabilities must be permitted and inheritable first.

use crate::failure::{self, Result};
use crate::user::User;
use crate::wire;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

/// The number of possible capabilities: one bit each.
const BITS: u32 = 64;

/// The sets to grant, limited to what this process holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The allowed part of the requested bounding set.
    pub bounding: u64,
    sets: [u64; 3],
    ambient: u64,
}

impl Grant {
    /// Whether the holder may do what CAP_SYS_ADMIN allows.
    pub fn may_administer(&self) -> bool {
        self.sets[0] & CapabilitySet::SYS_ADMIN.bits() != 0
    }
}

/// Limits the requested sets to the `held` ones, and each to what the kernel's rules allow: effective within permitted,
/// ambient within permitted and inheritable.
pub fn grant(asked: &wire::Capabilities, held: u64) -> Grant {
    let permitted = asked.permitted & held;
    let inheritable = asked.inheritable & held;
    let ambient = asked.ambient & permitted & inheritable;
    Grant { bounding: asked.bounding & held, sets: [asked.effective & permitted, permitted, inheritable], ambient }
}

/// The capabilities that this process can pass on.
///
/// # Errors
/// The kernel's error.
pub fn held() -> Result<u64> {
    capabilities(None).map(|sets| sets.permitted.bits()).map_err(|e| failure::kernel("capget", "self", e))
}

/// Turns the calling process into `user` with the capabilities of `grant`. For a child that is about to exec.
///
/// # Errors
/// The kernel's error, with the step and the id or capability. The process may then have lost some of its rights.
pub fn become_user(user: &User, grant: &Grant) -> Result<()> {
    for bit in (0..BITS).filter(|bit| grant.bounding & (1 << bit) == 0) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            // Past the last capability that the kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            other => other.map_err(|e| failure::kernel("drop bounding capability", bit.to_string(), e))?,
        }
    }
    set_keep_capabilities(true).map_err(|e| failure::kernel("keep capabilities", "self", e))?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let gids: Vec<Gid> = user.gids.iter().map(|&gid| Gid::from_raw(gid)).collect();
    set_thread_groups(&gids).map_err(|e| failure::kernel("setgroups", format!("{:?}", user.gids), e))?;
    set_thread_res_gid(gid, gid, gid).map_err(|e| failure::kernel("setresgid", user.gid.to_string(), e))?;
    set_thread_res_uid(uid, uid, uid).map_err(|e| failure::kernel("setresuid", user.uid.to_string(), e))?;
    let [effective, permitted, inheritable] = grant.sets.map(CapabilitySet::from_bits_retain);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
        .map_err(|e| failure::kernel("capset", format!("{:#x}", permitted.bits()), e))?;
    clear_ambient_capability_set().map_err(|e| failure::kernel("clear ambient capabilities", "self", e))?;
    for bit in (0..BITS).filter(|bit| grant.ambient & (1 << bit) != 0) {
        configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << bit), true)
            .map_err(|e| failure::kernel("raise ambient capability", bit.to_string(), e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shim_does_not_hold_is_left_out_of_every_set() {
        let all = u64::MAX;
        let asked =
            wire::Capabilities { bounding: all, effective: all, permitted: all, inheritable: all, ambient: all };
        let grant = grant(&asked, 0b1011);
        assert_eq!((grant.bounding, grant.sets, grant.ambient), (0b1011, [0b1011; 3], 0b1011));
    }

    #[test]
    fn an_ambient_capability_that_is_not_inheritable_is_left_out() {
        let asked = wire::Capabilities { bounding: 7, effective: 7, permitted: 3, inheritable: 0, ambient: 3 };
        let grant = grant(&asked, u64::MAX);
        assert_eq!((grant.sets, grant.ambient), ([3, 3, 0], 0));
    }
}
