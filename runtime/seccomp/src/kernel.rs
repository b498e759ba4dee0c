// SPDX-License-Identifier: Apache-2.0
//! The kernel's release, for rules that apply from a certain one on.

use std::sync::OnceLock;

/// Major and minor number. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(pub(super) u32, pub(super) u32);

/// The release of the running kernel. If it cannot be read, it counts as 0.0, and rules that need a newer one are
/// skipped.
pub(super) fn running() -> Release {
    static RUNNING: OnceLock<Release> = OnceLock::new();
    *RUNNING.get_or_init(|| {
        let name = rustix::system::uname();
        leading(&name.release().to_string_lossy()).unwrap_or(Release(0, 0))
    })
}

/// Reads "4.8" or "6.18.44-generic".
fn leading(text: &str) -> Option<Release> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Release(major.parse().ok()?, minor.parse().ok()?))
}

/// Reads a profile's `minKernel`: exactly "MAJOR.MINOR".
pub(super) fn parse(text: &str) -> Option<Release> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.matches('.').count() == 1;
    plain.then(|| leading(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_ordered() {
        assert_eq!(leading("6.18.44-fc-v669"), Some(Release(6, 18)));
        assert_eq!(leading("5.10+"), Some(Release(5, 10)));
        assert!(Release(4, 19) > Release(4, 8) && Release(5, 0) > Release(4, 19));
        assert!(running() > Release(4, 8));
    }

    #[test]
    fn a_minimum_is_exactly_two_numbers() {
        assert_eq!(parse("4.8"), Some(Release(4, 8)));
        for text in ["4", "4.8.1", "4.", ".8", "x.y", "4.8-rc1", "", "99999999999.1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
