// SPDX-License-Identifier: Apache-2.0
//! The SELinux options of a request.

use crate::error::{Error, Result};
use gorae_proto::cri::SeLinuxOption;
use std::path::Path;

/// Checks the SELinux options of a request. Where SELinux is off they have no effect, as with other runtimes. Where it is
/// on, a requested label is never ignored.
///
/// # Errors
/// `InvalidArgument` for invalid parts of a label; `FailedPrecondition` on a node with SELinux.
pub fn check(options: Option<&SeLinuxOption>) -> Result<()> {
    let Some(options) = options else { return Ok(()) };
    for (field, part) in [("user", &options.user), ("role", &options.role), ("type", &options.r#type)] {
        if part.len() > 255 || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'-') {
            return Err(Error::invalid(format!("selinux_options.{field}: {part:?} is not a valid part of a label")));
        }
    }
    if !level_is_whole(&options.level) {
        return Err(Error::invalid(format!("selinux_options.level: {:?} is not a level like s0:c1,c2", options.level)));
    }
    if Path::new("/sys/fs/selinux/enforce").exists() && *options != SeLinuxOption::default() {
        return Err(Error::precondition("selinux_options: this version does not label containers"));
    }
    Ok(())
}

/// `s0`, `s0:c1,c2`, `s0-s0:c0.c1023`: sensitivities, each with categories after one colon.
fn level_is_whole(level: &str) -> bool {
    let number = |text: &str, letter: char, most: u32| {
        let digits = text.strip_prefix(letter).filter(|d| d.len() <= 4 && d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse::<u32>().ok()).is_some_and(|n| n <= most)
    };
    let category = |text: &str| number(text, 'c', 1023);
    let categories = |text: &str| {
        text.split(',').all(|one| match one.split_once('.') {
            Some((from, to)) => category(from) && category(to),
            None => category(one),
        })
    };
    level.is_empty()
        || level.split('-').count() <= 2
            && level.split('-').all(|one| match one.split_once(':') {
                Some((sensitivity, list)) => number(sensitivity, 's', 15) && categories(list),
                None => number(one, 's', 15),
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_levels_are_levels() {
        for good in ["", "s0", "s0:c4,c5", "s0-s0:c0.c1023", "s15:c1"] {
            assert!(level_is_whole(good), "{good}");
        }
        for bad in ["s0,c4,c5", "c1", "s0:", "s0:c1024", "s16", "s0-s0-s0", "s0:c1:c2", "s0:c1 ", "s"] {
            assert!(!level_is_whole(bad), "{bad}");
        }
    }
}
