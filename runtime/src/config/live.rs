// SPDX-License-Identifier: Apache-2.0
//! What may change while the daemon runs, checked.

use super::paths::all_absolute;
use super::raw::{Overrides, RawConfig};
use gorae_node::settings::Live;
use std::path::PathBuf;
use std::time::Duration;

/// Default of `reconcile_seconds`.
const DEFAULT_RECONCILE_SECONDS: u32 = 60;
/// The levels that the log can have, the most important first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Checks what may change.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: &RawConfig, over: &Overrides) -> Result<Live, String> {
    let log_level = over.log_level.as_ref().or(raw.log_level.as_ref()).map_or("info", String::as_str);
    let seconds = raw.reconcile_seconds.unwrap_or(DEFAULT_RECONCILE_SECONDS);
    if !(1..=3600).contains(&seconds) {
        return Err("reconcile_seconds: allowed are 1 to 3600".into());
    }
    let cdi_directories = match raw.cdi.directories.clone() {
        Some(list) => all_absolute("cdi.directories", list)?,
        None => gorae_cdi::DEFAULT_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    let reconcile_every = Duration::from_secs(seconds.into());
    Ok(Live { log_level: check_level(log_level)?, reconcile_every, cdi_directories })
}

fn check_level(level: &str) -> Result<String, String> {
    match LEVELS.contains(&level) {
        true => Ok(level.to_owned()),
        false => Err(format!("log_level: {level:?} is not one of {}", LEVELS.join(", "))),
    }
}
