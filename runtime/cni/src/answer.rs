// SPDX-License-Identifier: Apache-2.0
//! What a plugin's run came to: its output, or why there is none.

use crate::call::Command;
use crate::error::Error;
use crate::run::{Ending, Ran};
use serde_json::Value;

/// How much of a plugin's words an error quotes, in characters.
const MAX_WORDS: usize = 1024;

/// The standard output of a run that succeeded.
///
/// # Errors
/// [`Error::Plugin`], with what the plugin said or how it ended.
pub fn of(kind: &str, command: Command, ran: Ran) -> Result<Vec<u8>, Error> {
    if ran.ending == Ending::Exited(0) && !ran.flooded {
        if !ran.stderr.is_empty() {
            tracing::debug!(plugin = kind, %command, said = words(&ran.stderr), "network plugin");
        }
        return Ok(ran.stdout);
    }
    let (code, why) = why(&ran);
    Err(Error::Plugin { kind: kind.to_owned(), command, code, why })
}

/// The plugin's own error, or else how it ended with what it printed.
fn why(ran: &Ran) -> (Option<u64>, String) {
    let ending = match &ran.ending {
        _ if ran.flooded => "it printed more than a result can be, and was ended".to_owned(),
        Ending::Exited(code) => format!("it exited with code {code}"),
        Ending::Killed(signal) => format!("it was ended by signal {signal}"),
        Ending::NotStarted(why) => format!("it did not start: {why}"),
        Ending::Lost(why) => format!("it was lost: {why}"),
        Ending::Late(after) => format!("it did not end within {} s, and was ended", after.as_secs()),
    };
    let said = if ran.flooded { None } else { said(&ran.stdout) };
    if let (Some((code, said)), Ending::Exited(_)) = (said, &ran.ending) {
        return (code, said);
    }
    // An error goes to standard output; what is on the other one is for the log, and all there is.
    let spoken = [&ran.stderr, &ran.stdout].into_iter().map(|bytes| words(bytes)).find(|text| !text.is_empty());
    let spoken = spoken.filter(|_| !ran.flooded || !ran.stderr.is_empty());
    (None, spoken.map_or_else(|| ending.clone(), |spoken| format!("{ending}: {spoken}")))
}

/// The error object of the specification: its code, its message and its details.
fn said(stdout: &[u8]) -> Option<(Option<u64>, String)> {
    let object: Value = serde_json::from_slice(stdout).ok()?;
    let text =
        |key: &str| object.get(key).and_then(Value::as_str).map(|text| words(text.as_bytes())).unwrap_or_default();
    let (message, details) = (text("msg"), text("details"));
    let code = object.get("code").and_then(Value::as_u64);
    match (message.is_empty(), details.is_empty()) {
        (true, true) => None,
        (false, true) => Some((code, message)),
        (true, false) => Some((code, details)),
        (false, false) => Some((code, format!("{message}; {details}"))),
    }
}

/// The last words, printable and of a bounded length.
pub(crate) fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let last: String = clean[clean.len().saturating_sub(MAX_WORDS)..].iter().collect();
    last.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ran(ending: Ending, stdout: &str, stderr: &str) -> Ran {
        Ran { ending, stdout: stdout.into(), stderr: stderr.into(), flooded: false }
    }

    fn error(ran: Ran) -> String {
        of("x", Command::Add, ran).unwrap_err().to_string()
    }

    #[test]
    fn the_plugins_own_words_are_in_the_form_that_people_search_for() {
        let said = r#"{"cniVersion":"1.0.0","code":11,"msg":"no addresses","details":"in 10.0.0.0/24"}"#;
        let failed = ran(Ending::Exited(1), said, "log");
        assert_eq!(error(failed), "plugin type=\"x\" failed (add): no addresses; in 10.0.0.0/24");
        assert_eq!(of("x", Command::Add, ran(Ending::Exited(0), "out", "log")), Ok(b"out".to_vec()));
    }

    #[test]
    fn without_them_the_end_and_what_was_printed_are_told() {
        let prefix = "plugin type=\"x\" failed (add): ";
        for (ran, why) in [
            (ran(Ending::Exited(3), "", ""), "it exited with code 3"),
            (ran(Ending::Exited(3), "", "a\nb\x1b"), "it exited with code 3: a b"),
            (ran(Ending::Exited(1), "not json", ""), "it exited with code 1: not json"),
            (ran(Ending::Exited(1), "null", "x"), "it exited with code 1: x"),
            (ran(Ending::Killed(11), "", ""), "it was ended by signal 11"),
            (
                ran(Ending::Late(Duration::from_secs(5)), "{\"msg\":\"m\"}", ""),
                "it did not end within 5 s, and was ended: {\"msg\":\"m\"}",
            ),
            (ran(Ending::NotStarted("Exec format error".into()), "", ""), "it did not start: Exec format error"),
            (
                Ran { flooded: true, ..ran(Ending::Exited(0), "zzz", "") },
                "it printed more than a result can be, and was ended",
            ),
        ] {
            assert_eq!(error(ran).strip_prefix(prefix), Some(why));
        }
    }
}
