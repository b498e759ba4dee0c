// SPDX-License-Identifier: Apache-2.0
//! The result of a session, as sent on its error stream.
//!
//! To every client, an error stream that ends without a byte means success. So every abnormal end that can still be
//! reported is reported.

use crate::websocket::Version;
use serde::Serialize;

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As the client wanted: with exit code 0, or by a detach.
    Success,
    /// The command exited with another code.
    ExitCode {
        /// 1..=255.
        code: i32,
        /// The command, for the message.
        command: String,
    },
    /// Something failed; this is the whole message.
    Failure(String),
}

#[derive(Serialize)]
struct Document<'d> {
    status: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Serialize)]
struct Details<'d> {
    causes: [Cause<'d>; 1],
}

/// The API puts the kind of a cause under the key `reason`.
#[derive(Serialize)]
struct Cause<'d> {
    reason: &'d str,
    message: String,
}

impl Outcome {
    /// A failure to run a command.
    pub(crate) fn exec_failed(detail: &str) -> Self {
        Self::Failure(format!("Internal error occurred: error executing command in container: {detail}"))
    }

    /// A failure to attach.
    pub(crate) fn attach_failed(detail: &str) -> Self {
        Self::Failure(format!("Internal error occurred: error attaching to container: {detail}"))
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Success => None,
            Self::ExitCode { code, command } => Some(format!(
                "command terminated with non-zero exit code: error executing command {command}, exit code {code}"
            )),
            Self::Failure(message) => Some(message.clone()),
        }
    }

    /// Encodes the bytes for the error stream: from v4 on a JSON Status, before that the message of a failure, or
    /// nothing.
    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let message = self.message();
        if version < Version::V4 {
            return message.unwrap_or_default().into_bytes();
        }
        let bare = Document { status: "Failure", message, reason: None, details: None, code: None };
        let document = match self {
            Self::Success => Document { status: "Success", ..bare },
            Self::ExitCode { code, .. } => {
                let cause = Cause { reason: "ExitCode", message: code.to_string() };
                Document { reason: Some("NonZeroExitCode"), details: Some(Details { causes: [cause] }), ..bare }
            }
            Self::Failure(_) => Document { reason: Some("InternalError"), code: Some(500), ..bare },
        };
        serde_json::to_vec(&document).expect("strings and numbers serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(outcome: &Outcome, version: Version) -> String {
        String::from_utf8(outcome.encode(version)).unwrap()
    }

    #[test]
    fn documents_have_the_exact_bytes_that_clients_parse() {
        let exit = Outcome::ExitCode { code: 42, command: "sh".into() };
        assert_eq!(text(&Outcome::Success, Version::V4), r#"{"status":"Success"}"#);
        assert_eq!(
            text(&exit, Version::V5),
            concat!(
                r#"{"status":"Failure","message":"command terminated with non-zero exit code: "#,
                r#"error executing command sh, exit code 42","reason":"NonZeroExitCode","#,
                r#""details":{"causes":[{"reason":"ExitCode","message":"42"}]}}"#
            )
        );
        assert_eq!(
            text(&Outcome::exec_failed("no \"x\""), Version::V4),
            concat!(
                r#"{"status":"Failure","message":"Internal error occurred: error executing command in container: "#,
                r#"no \"x\"","reason":"InternalError","code":500}"#
            )
        );
    }

    #[test]
    fn old_versions_get_text_and_nothing_on_success() {
        assert_eq!(text(&Outcome::Success, Version::V3), "");
        assert!(text(&Outcome::attach_failed("x"), Version::V1).ends_with("error attaching to container: x"));
    }
}
