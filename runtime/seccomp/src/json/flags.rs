// SPDX-License-Identifier: Apache-2.0
//! Flags of the filter.

use super::invalid::{invalid, shown};
use crate::error::Error;

/// `SECCOMP_FILTER_FLAG_*` by name. WAIT_KILLABLE_RECV is missing: it is only for notification.
pub(crate) const FLAGS: [(&str, u64); 3] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", libc::SECCOMP_FILTER_FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", libc::SECCOMP_FILTER_FLAG_LOG),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
];

/// When absent, a filter does not change speculation, which is also the default of newer kernels. When empty: no flag.
pub(super) fn flags(names: Option<&[String]>) -> Result<u32, Error> {
    let Some(names) = names else {
        return Ok(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32);
    };
    names.iter().enumerate().try_fold(0, |flags, (at, name)| {
        let known = FLAGS.iter().find(|(known, _)| known == name);
        let place = format!("flags[{at}]");
        match known {
            Some((_, flag)) => Ok(flags | *flag as u32),
            None if name == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Err(Error::Notify { place }),
            None => Err(invalid(place, format!("unknown flag {}", shown(name)))),
        }
    })
}
