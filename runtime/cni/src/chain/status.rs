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
/// The [`Error`] of the first plugin that says no, with what its code means.
pub async fn status<R: Run>(caller: &Caller<'_, R>, list: &List) -> Result<(), Error> {
    if !list.version.has_status() {
        return Ok(());
    }
    for plugin in &list.plugins {
        let input = call::status_input(list, plugin);
        caller.call(plugin, Command::Status, None, input, STATUS_LIMIT).await.map_err(explained)?;
    }
    Ok(())
}

/// Adds the meaning of the two codes that the specification has for STATUS.
fn explained(error: Error) -> Error {
    match error {
        Error::Plugin { kind, command, code: code @ Some(50), why } => {
            Error::Plugin { kind, command, code, why: format!("{why} (code 50: no pods can be added)") }
        }
        Error::Plugin { kind, command, code: code @ Some(51), why } => {
            let why =
                format!("{why} (code 51: no pods can be added, and those that run may have limited connectivity)");
            Error::Plugin { kind, command, code, why }
        }
        other => other,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_status_are_explained() {
        let told = |code| {
            let (kind, why) = ("x".to_owned(), "no agent".to_owned());
            explained(Error::Plugin { kind, command: Command::Status, code, why }).to_string()
        };
        assert!(told(Some(50)).ends_with("no agent (code 50: no pods can be added)"), "{}", told(Some(50)));
        assert!(told(Some(51)).contains("limited connectivity"));
        assert!(told(Some(7)).ends_with(": no agent") && told(None).ends_with(": no agent"));
    }
}
