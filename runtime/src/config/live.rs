// SPDX-License-Identifier: Apache-2.0
//! The settings that may change while the daemon runs, checked.

use super::paths::all_absolute;
use super::raw::{Overrides, RawConfig};
use crate::log::Level;
use gorae_node::settings::Live;
use std::path::PathBuf;
use std::time::Duration;

/// Default of `reconcile_seconds`.
const DEFAULT_RECONCILE_SECONDS: u32 = 60;

/// Checks the settings that may change.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: &RawConfig, over: &Overrides) -> Result<(Level, Live), String> {
    let log_level = match over.log_level.as_ref().or(raw.log_level.as_ref()) {
        Some(word) => word.parse().map_err(|e| format!("log_level: {e}"))?,
        None => Level::Info,
    };
    let seconds = raw.reconcile_seconds.unwrap_or(DEFAULT_RECONCILE_SECONDS);
    if !(1..=3600).contains(&seconds) {
        return Err("reconcile_seconds: must be between 1 and 3600".into());
    }
    let cdi_directories = match raw.cdi.directories.clone() {
        Some(list) => all_absolute("cdi.directories", list)?,
        None => gorae_cdi::DEFAULT_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    let reconcile_every = Duration::from_secs(seconds.into());
    Ok((log_level, Live { reconcile_every, cdi_directories }))
}
