// SPDX-License-Identifier: Apache-2.0
//! Whether a rule applies to this container: by its capabilities, on this architecture and this kernel.

use super::invalid::{invalid, shown};
use super::text::WhereText;
use crate::arch::Arch;
use crate::capabilities;
use crate::error::Error;
use crate::kernel::{self, Release};

/// Which parts of an `includes` or `excludes` match this container; `None` for a part that is absent.
#[derive(Debug)]
pub(super) struct Matched {
    every_cap: Option<bool>,
    some_cap: Option<bool>,
    arch: Option<bool>,
    kernel: Option<bool>,
}

impl Matched {
    /// For `includes`: every part that is present matches, with every capability in it.
    pub(super) fn all(&self) -> bool {
        [self.every_cap, self.arch, self.kernel].iter().all(|part| part.unwrap_or(true))
    }

    /// For `excludes`: some part that is present matches, with at least one capability in it.
    pub(super) fn any(&self) -> bool {
        [self.some_cap, self.arch, self.kernel].iter().any(|part| part.unwrap_or(false))
    }
}

pub(super) fn matches(place: &str, text: Option<&WhereText>, caps: u64, kernel: Release) -> Result<Matched, Error> {
    let nothing = WhereText::default();
    let text = text.unwrap_or(&nothing);
    let held = |name: &String| capabilities::bit(name).is_some_and(|bit| caps & (1 << bit) != 0);
    let names = text.caps.as_ref().filter(|names| !names.is_empty());
    let arches = text.arches.as_ref().filter(|arches| !arches.is_empty());
    let least = match text.min_kernel.as_deref() {
        None | Some("") => None,
        Some(text) => Some(kernel::parse(text).ok_or_else(|| {
            invalid(format!("{place}.minKernel"), format!("{} is not of the form MAJOR.MINOR", shown(text)))
        })?),
    };
    Ok(Matched {
        every_cap: names.map(|names| names.iter().all(held)),
        some_cap: names.map(|names| names.iter().any(held)),
        arch: arches.map(|arches| arches.iter().any(|arch| arch == Arch::NATIVE.go_name())),
        kernel: least.map(|least| kernel >= least),
    })
}
