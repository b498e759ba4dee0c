// SPDX-License-Identifier: Apache-2.0
//! GC.

use super::one::Caller;
use crate::call::{self, Command};
use crate::error::Error;
use crate::list::List;
use crate::run::Run;
use std::time::{Duration, Instant};

/// How long the plugins of a network may take together: pods wait meanwhile.
const GC_LIMIT: Duration = Duration::from_secs(30);

/// Whether a network may be asked.
pub fn can_collect(list: &List) -> bool {
    !list.disable_gc && list.version.has_status()
}

/// Lets every plugin remove what belongs to none of the attachments, each a pod's id and an interface. The caller makes
/// sure that no other call is under way, and that [the network may be asked](can_collect).
///
/// # Errors
/// The first [`Error`]; the other plugins were called all the same.
pub async fn collect<R: Run>(caller: &Caller<'_, R>, list: &List, valid: &[(String, String)]) -> Result<(), Error> {
    let end = Instant::now() + GC_LIMIT;
    let mut first = Ok(());
    for plugin in &list.plugins {
        let input = call::gc_input(list, plugin, valid);
        let limit = end.saturating_duration_since(Instant::now());
        let collected = caller.call(plugin, Command::Gc, None, input, limit).await;
        first = first.and(collected.map(drop));
    }
    first
}
