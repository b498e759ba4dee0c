// SPDX-License-Identifier: Apache-2.0
//! Actions, with their errno by number or by name.

use super::invalid::{invalid, shown};
use crate::error::Error;
use crate::profile::Action;

/// The largest errno that a system call can return. Source: linux/err.h MAX_ERRNO.
const LARGEST_ERRNO: u32 = 4095;

/// The errno of an action as written in the profile, by number or by name.
#[derive(Debug)]
pub(super) struct Errno<'a> {
    pub(super) number: Option<u32>,
    pub(super) name: Option<&'a str>,
}

impl Errno<'_> {
    fn or_eperm(&self, place: &str) -> Result<u16, Error> {
        let named = match self.name {
            None | Some("") => None,
            Some(name) => {
                Some(errno_by_name(name).ok_or_else(|| invalid(place, format!("unknown errno {}", shown(name))))?)
            }
        };
        match (self.number, named) {
            (Some(number), Some(named)) if number != named => {
                Err(invalid(place, format!("errno {named} by name, but {number} by number")))
            }
            (Some(number), _) if number > LARGEST_ERRNO => Err(invalid(place, format!("errno {number} is over 4095"))),
            (number, named) => Ok(number.or(named).unwrap_or(libc::EPERM as u32) as u16),
        }
    }
}

fn errno_by_name(name: &str) -> Option<u32> {
    (1..=133).find(|number| syscalls::Errno::new(*number).name() == Some(name)).map(|number| number as u32)
}

pub(super) fn action(place: &str, name: &str, errno: &Errno<'_>) -> Result<Action, Error> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.or_eperm(place)?),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.or_eperm(place)?),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_NOTIFY" => return Err(Error::Notify { place: place.into() }),
        _ => return Err(invalid(place, format!("unknown action {}", shown(name)))),
    })
}
