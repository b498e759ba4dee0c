// SPDX-License-Identifier: Apache-2.0
//! ADD.

use super::one::Caller;
use crate::call::{self, Command, Subject};
use crate::error::Error;
use crate::list::List;
use crate::result;
use crate::run::Run;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long the plugins of a network may take together. Some wait for an agent that is being installed.
pub const ADD_LIMIT: Duration = Duration::from_secs(240);

/// Adds a pod to a network, and returns the result of the last plugin, in the list's version.
///
/// # Errors
/// [`Error`] of the first plugin that fails; a DEL is owed then.
pub async fn add<R: Run>(caller: &Caller<'_, R>, list: &List, subject: &Subject<'_>) -> Result<Value, Error> {
    let end = Instant::now() + ADD_LIMIT;
    let mut previous: Option<Value> = None;
    for plugin in &list.plugins {
        let input = call::input(list, plugin, subject.capabilities, previous.as_ref());
        let limit = end.saturating_duration_since(Instant::now());
        let stdout = caller.call(plugin, Command::Add, Some(subject), input, limit).await?;
        let unusable = |why| Error::Result { kind: plugin.kind().to_owned(), why };
        let said = result::read(&stdout).map_err(unusable)?;
        previous = Some(result::convert(&said, list.version, list.version).map_err(unusable)?);
    }
    Ok(previous.unwrap_or_default())
}
