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
/// The first [`Error`]; the DEL is still owed then. A program that is missing comes before what others say: it tells whether
/// the network is still installed.
pub async fn delete<R: Run>(
    caller: &Caller<'_, R>,
    list: &List,
    subject: &Subject<'_>,
    added: Option<&Value>,
) -> Result<(), Error> {
    let added = added.filter(|_| list.version.has_check());
    // A result that cannot be converted is not worth an address that is never given back.
    let added = added.and_then(|result| result::convert(result, list.version, list.version).ok());
    let mut all = Vec::new();
    for plugin in list.plugins.iter().rev() {
        let input = call::input(list, plugin, subject.capabilities, added.as_ref());
        let deleted = caller.call(plugin, Command::Del, Some(subject), input, DEL_LIMIT).await;
        all.extend(deleted.err().filter(|error| !is_unknown(error)));
    }
    worst(all).map_or(Ok(()), Err)
}

/// Whether the plugin says that it has nothing of the pod, so that there is nothing to undo.
fn is_unknown(error: &Error) -> bool {
    const CONTAINER_UNKNOWN: u64 = 3;
    matches!(error, Error::Plugin { code: Some(CONTAINER_UNKNOWN), .. })
}

/// The error to tell, of all that there were.
fn worst(mut all: Vec<Error>) -> Option<Error> {
    let missing = all.iter().position(Error::is_not_found);
    (!all.is_empty()).then(|| all.swap_remove(missing.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Capabilities;
    use crate::list::parse;
    use crate::run::{Ending, Program, Ran};
    use std::path::PathBuf;

    /// Fails with the code that is the program's name.
    struct Answers;

    impl Run for Answers {
        async fn find(&self, directories: &[PathBuf], kind: &str) -> Result<Option<PathBuf>, String> {
            Ok(Some(directories[0].join(kind)))
        }

        async fn run(&self, program: Program) -> Ran {
            let code = program.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let stdout = format!(r#"{{"code":{code},"msg":"no"}}"#).into_bytes();
            Ran { ending: Ending::Exited(1), stdout, stderr: Vec::new(), flooded: false }
        }
    }

    async fn deleted(kinds: &[&str]) -> Result<(), Error> {
        let plugins: Vec<_> = kinds.iter().map(|kind| serde_json::json!({"type": kind})).collect();
        let text = serde_json::json!({"name": "n", "cniVersion": "1.0.0", "plugins": plugins}).to_string();
        let list = parse(text.as_bytes(), |_| Ok(Vec::new())).expect("a list");
        let (capabilities, directories) = (Capabilities::default(), [PathBuf::from("/x")]);
        let subject =
            Subject { container_id: "p", netns: "", interface: "eth0", arguments: "", capabilities: &capabilities };
        delete(&Caller { run: &Answers, directories: &directories }, &list, &subject, None).await
    }

    #[tokio::test]
    async fn a_plugin_that_does_not_know_the_pod_has_nothing_to_undo() {
        assert_eq!(deleted(&["3", "3"]).await, Ok(()));
        assert!(matches!(deleted(&["3", "11"]).await, Err(Error::Plugin { code: Some(11), .. })));
    }

    #[test]
    fn a_missing_program_is_told_whatever_others_say() {
        let missing = || Error::NotFound { kind: "m".into(), searched: "/x".into() };
        let failed = || Error::Argument("no".into());
        assert_eq!(worst(vec![failed(), missing()]), Some(missing()));
        assert_eq!(worst(vec![missing(), failed()]), Some(missing()));
        assert_eq!(worst(vec![failed()]), Some(failed()));
        assert_eq!(worst(Vec::new()), None);
    }
}
