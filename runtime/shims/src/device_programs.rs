// SPDX-License-Identifier: Apache-2.0
//! The device programs that shims have loaded, cached for the containers that start later.
//!
//! Nearly all containers of a node have one of two or three device policies. Verifying and compiling such a program
//! takes the kernel about as long as making an overlay; attaching a loaded one takes next to nothing. A program is
//! read-only, and it lives as long as a descriptor is open or it is attached: a restart of the daemon costs each policy
//! one more load.

use gorae_proto::shim::DeviceRule;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Largest number of cached programs. Each takes a descriptor and some kilobytes of kernel memory, and every container
/// with its own devices has its own policy.
const MOST: usize = 32;

/// Loaded programs by the rules they were compiled from.
#[derive(Debug, Default)]
pub struct DevicePrograms {
    /// In order of use, the most recent last.
    kept: Mutex<VecDeque<(Vec<DeviceRule>, Arc<OwnedFd>)>>,
}

impl DevicePrograms {
    /// Finds the program of exactly these rules.
    pub fn of(&self, rules: &[DeviceRule]) -> Option<Arc<OwnedFd>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(known, _)| known == rules)?;
        let used = kept.remove(found)?;
        let program = used.1.clone();
        kept.push_back(used);
        Some(program)
    }

    /// Caches a program that a shim has loaded. When the cache is full, the least recently used one is dropped.
    pub fn keep(&self, rules: Vec<DeviceRule>, program: OwnedFd) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Two containers with the same new rules that start at the same time each load one.
        if kept.iter().any(|(known, _)| *known == rules) {
            return;
        }
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back((rules, Arc::new(program)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    fn rules(minor: i64) -> Vec<DeviceRule> {
        vec![DeviceRule { allow: true, kind: "c".into(), major: 1, minor, access: "rwm".into() }]
    }

    fn program() -> OwnedFd {
        File::open("/dev/null").expect("the null device").into()
    }

    #[test]
    fn equal_rules_share_the_program_that_was_loaded_first() {
        let programs = DevicePrograms::default();
        assert!(programs.of(&rules(3)).is_none());
        let first = program();
        let number = first.as_raw_fd();
        programs.keep(rules(3), first);
        programs.keep(rules(3), program());
        assert_eq!(programs.of(&rules(3)).map(|program| program.as_raw_fd()), Some(number));
        let other = DeviceRule { access: "r".into(), ..rules(3).remove(0) };
        assert!(programs.of(&[other]).is_none() && programs.of(&[]).is_none());
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let programs = DevicePrograms::default();
        for minor in 0..1000 {
            programs.keep(rules(minor), program());
            assert!(programs.of(&rules(0)).is_some(), "after {minor}");
        }
        assert_eq!(programs.kept.lock().expect("a lock").len(), MOST);
        assert!(programs.of(&rules(1)).is_none() && programs.of(&rules(999)).is_some());
    }
}
