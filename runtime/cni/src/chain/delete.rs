// SPDX-License-Identifier: Apache-2.0
//! DEL.

use super::one::Caller;
use crate::call::{self, Command, Subject};
use crate::error::Error;
use crate::list::List;
use crate::result;
use crate::run::Run;
use serde_json::Value;
use std::time::Duration;

/// How long one plugin may take.
const DEL_LIMIT: Duration = Duration::from_secs(60);

/// Removes a pod from a network: all plugins are called, whatever the others said. `added` is the result of ADD; `None`
/// when that did not end well. It can be repeated.
///
/// # Errors
/// The first [`Error`]; the DEL is still owed then.
pub async fn delete<R: Run>(
    caller: &Caller<'_, R>,
    list: &List,
    subject: &Subject<'_>,
    added: Option<&Value>,
) -> Result<(), Error> {
    let added = added.filter(|_| list.version.has_check());
    // A result that cannot be converted is not worth an address that is never given back.
    let added = added.and_then(|result| result::convert(result, list.version, list.version).ok());
    let mut first = Ok(());
    for plugin in list.plugins.iter().rev() {
        let input = call::input(list, plugin, subject.capabilities, added.as_ref());
        let deleted = caller.call(plugin, Command::Del, Some(subject), input, DEL_LIMIT).await;
        first = first.and(deleted.map(drop));
    }
    first
}
