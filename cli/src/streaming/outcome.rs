// SPDX-License-Identifier: Apache-2.0
//! The result of a session: the Kubernetes `Status` object that the server sends last.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The text before the reason in the result of a session. kubectl expects it, and people do not need it.
const BEFORE_REASON: [&str; 3] =
    ["Internal error occurred: ", "error executing command in container: ", "error attaching to container: "];

/// The part of a Kubernetes `Status` that matters here.
#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Details,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

/// The exit code in the result of a session, which is JSON.
///
/// # Errors
/// When there is no result, or it reports a failure of the session and not an exit code.
pub fn exit_code(status: &[u8]) -> Result<i32> {
    if status.is_empty() {
        bail!("the session ended without a result");
    }
    let status: Status = serde_json::from_slice(status).context("read the result of the session")?;
    if status.status == "Success" {
        return Ok(0);
    }
    let code = status.details.causes.iter().find(|cause| cause.reason == "ExitCode").map(|cause| &cause.message);
    match code.and_then(|code| code.parse::<u8>().ok()) {
        Some(code) if status.reason == "NonZeroExitCode" => Ok(code.into()),
        _ => bail!("{}", reason(&status.message)),
    }
}

/// The reason in the message of a result.
fn reason(message: &str) -> &str {
    BEFORE_REASON.iter().fold(message, |rest, words| rest.strip_prefix(words).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_as_exit_codes_or_errors() {
        let failed = br#"{"status":"Failure","message":"m","reason":"NonZeroExitCode",
            "details":{"causes":[{"reason":"ExitCode","message":"42"}]}}"#;
        assert_eq!(exit_code(failed).ok(), Some(42));
        assert_eq!(exit_code(br#"{"metadata":{},"status":"Success"}"#).ok(), Some(0));
        let internal = exit_code(br#"{"status":"Failure","message":"it broke","reason":"InternalError","code":500}"#);
        assert_eq!(internal.map_err(|error| error.to_string()), Err("it broke".to_owned()));
        let missing = br#"{"status":"Failure","message":"Internal error occurred: error executing command in container: exec \"x\": not found"}"#;
        assert_eq!(exit_code(missing).map_err(|error| error.to_string()), Err("exec \"x\": not found".to_owned()));
        assert!(exit_code(b"").is_err());
        assert!(exit_code(b"nonsense").is_err());
    }
}
