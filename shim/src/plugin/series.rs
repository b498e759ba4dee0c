// SPDX-License-Identifier: Apache-2.0
//! Plugins that run one after the other, for one attachment.

use super::end::Left;
use super::locks::Locks;
use super::request::Plugin;
use super::run::run;
use crate::failure::Result;
use crate::wire::PluginRan;
use std::time::Instant;

/// The plugins of an attachment, from the first one until this process ends: no other series comes in between.
#[derive(Debug, Default)]
pub struct Series {
    locks: Option<Locks>,
}

impl Series {
    /// Runs the next plugin and tells how it ended. Its time limit includes the wait for the locks.
    ///
    /// # Errors
    /// A lock cannot be had in time, or the kernel has no room; the plugin was not started then.
    pub fn run(&mut self, plugin: &Plugin) -> Result<PluginRan> {
        let end = Instant::now() + plugin.limit;
        self.lock(plugin, end)?;
        let (ran, left) = run(plugin, end)?;
        // What could not be killed keeps its lock: nobody may undo what it still does.
        if let (Left::Nothing, Some(locks)) = (left, &mut self.locks) {
            locks.end()?;
        }
        Ok(ran)
    }

    fn lock(&mut self, plugin: &Plugin, end: Instant) -> Result<()> {
        let Some(directory) = &plugin.lock else { return Ok(()) };
        if !self.locks.as_ref().is_some_and(|locks| locks.are_of(directory)) {
            // The earlier lock goes first: two series must never wait for each other.
            self.locks = None;
        }
        let locks = match self.locks.take() {
            Some(locks) => locks,
            None => Locks::take(directory, plugin.limit)?,
        };
        self.locks.insert(locks).begin(end)
    }
}
