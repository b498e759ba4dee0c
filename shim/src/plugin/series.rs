// SPDX-License-Identifier: Apache-2.0
//! Plugins that run one after the other, for one attachment.

use super::request::Plugin;
use super::run::run;
use crate::failure::{self, Kind, Result};
use crate::pod::{RunDir, lock_within};
use crate::wire::PluginRan;
use std::path::PathBuf;
use std::time::Instant;

/// The lock of an attachment, from its first plugin until this process ends: no other series comes in between.
#[derive(Debug, Default)]
pub struct Series {
    lock: Option<(PathBuf, RunDir)>,
}

impl Series {
    /// Runs the next plugin and tells how it ended. Its time limit includes the wait for the lock.
    ///
    /// # Errors
    /// The lock cannot be had in time, or the kernel has no room; the plugin was not started then.
    pub fn run(&mut self, plugin: &Plugin) -> Result<PluginRan> {
        let end = Instant::now() + plugin.limit;
        if let Some(dir) =
            plugin.lock.as_ref().filter(|dir| self.lock.as_ref().is_none_or(|(locked, _)| locked != *dir))
        {
            // The earlier lock goes first: two series must never wait for each other.
            self.lock = None;
            let lock = lock_within(dir, plugin.limit)?;
            if !lock.is_there() {
                // Whoever had it before has undone the attachment, and nothing may be added to it any more.
                return Err(failure::refused(
                    Kind::NotFound,
                    "lock",
                    dir.display().to_string(),
                    "it was removed meanwhile",
                ));
            }
            self.lock = Some((dir.clone(), lock));
        }
        run(plugin, end)
    }
}
