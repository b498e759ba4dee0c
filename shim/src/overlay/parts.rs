// SPDX-License-Identifier: Apache-2.0
//! The parts of an overlay.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// The directories of an overlay, and how the ids of their owners are mapped.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The lower directories, topmost first; at least one.
    pub layers: &'a [String],
    /// The directories that take the changes; `None`: the overlay is read-only.
    pub upper_and_work: Option<(PathBuf, PathBuf)>,
    /// The user namespace whose maps apply to the layers' owners.
    pub user_namespace: Option<BorrowedFd<'a>>,
}
