// SPDX-License-Identifier: Apache-2.0
//! STATUS and CHECK: questions that change nothing.

use super::one::Caller;
use crate::call::{self, Command, Subject};
use crate::error::Error;
use crate::list::List;
use crate::run::Run;
use serde_json::Value;
use std::time::Duration;

/// How long one plugin may take to say whether it is ready.
const STATUS_LIMIT: Duration = Duration::from_secs(5);
/// How long one plugin may take to look at an attachment.
const CHECK_LIMIT: Duration = Duration::from_secs(60);

/// Asks whether pods can be added. A list of a version before STATUS always says yes: older plugins take the question
/// for another one.
///
/// # Errors
/// The [`Error`] of the first plugin that says no.
pub async fn status<R: Run>(caller: &Caller<'_, R>, list: &List) -> Result<(), Error> {
    if !list.version.has_status() {
        return Ok(());
    }
    for plugin in &list.plugins {
        caller.call(plugin, Command::Status, None, call::status_input(list, plugin), STATUS_LIMIT).await?;
    }
    Ok(())
}

/// Asks whether an attachment is as it was made. Says yes where the question is not allowed.
///
/// # Errors
/// The [`Error`] of the first plugin that says no.
pub async fn check<R: Run>(
    caller: &Caller<'_, R>,
    list: &List,
    subject: &Subject<'_>,
    added: &Value,
) -> Result<(), Error> {
    if list.disable_check || !list.version.has_check() {
        return Ok(());
    }
    for plugin in &list.plugins {
        let input = call::input(list, plugin, subject.capabilities, Some(added));
        caller.call(plugin, Command::Check, Some(subject), input, CHECK_LIMIT).await?;
    }
    Ok(())
}
