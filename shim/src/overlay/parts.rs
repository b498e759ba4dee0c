// SPDX-License-Identifier: Apache-2.0
//! What an overlay is made of.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Directories, and how their owners are translated.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The topmost first; at least one.
    pub layers: &'a [String],
    /// Where changes go; `None`: it cannot be changed.
    pub upper_and_work: Option<(PathBuf, PathBuf)>,
    /// Whose maps translate the layers' owners.
    pub user_namespace: Option<BorrowedFd<'a>>,
}
