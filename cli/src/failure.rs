// SPDX-License-Identifier: Apache-2.0
//! The failures of a command: what was tried, how the daemon responded, and the exit code of the program.

use tonic::{Code, Status};

/// A request that the daemon refused.
#[derive(Debug)]
pub struct Refused {
    /// What was tried, on which object: `stop container web`.
    pub tried: String,
    /// The gRPC code of the response.
    pub code: Code,
    /// The daemon's message; never empty.
    pub message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Code::Unimplemented => write!(f, "{}: this daemon does not support it ({})", self.tried, self.message),
            Code::Unavailable => write!(f, "{}: the daemon does not respond ({})", self.tried, self.message),
            _ => write!(f, "{}: {}", self.tried, without_repetition(&self.tried, &self.message)),
        }
    }
}

/// Removes the part that the daemon's message repeats: "start container web: start container 12ab: why" becomes "start
/// container web: why".
fn without_repetition<'a>(tried: &str, message: &'a str) -> &'a str {
    let verb_and_kind = tried.match_indices(' ').nth(1).map_or(tried, |(at, _)| &tried[..=at]);
    let rest = message.strip_prefix(verb_and_kind).and_then(|rest| rest.split_once(": "));
    rest.map_or(message, |(_, why)| why)
}

impl std::error::Error for Refused {}

/// Turns the daemon's response into an error: `.map_err(refused(|| format!("stop {id}")))`.
pub fn refused<T: Into<String>>(tried: impl FnOnce() -> T) -> impl FnOnce(Status) -> anyhow::Error {
    move |status| {
        let message = if status.message().is_empty() { status.code().description() } else { status.message() };
        Refused { tried: tried().into(), code: status.code(), message: message.to_owned() }.into()
    }
}

/// The gRPC code of the daemon's response behind an error; `None` for errors from elsewhere.
pub fn code(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(|cause| cause.downcast_ref::<Refused>()).map(|refused| refused.code)
}

/// Exit code of `run` when Gorae failed and not the container, and of wrong usage of `run` and `exec`.
pub const OWN_FAILURE: u8 = 125;
/// Exit code of a shell for a command that exists but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// Exit code of a shell for a command that does not exist.
pub const NOT_FOUND: u8 = 127;

/// The exit code for a container that did not start: 126 and 127 as in a shell, else [`OWN_FAILURE`].
///
/// The gRPC code identifies the kind of failure; only the message shows whether it concerns the command.
pub fn start_code(error: &anyhow::Error) -> u8 {
    let Some(refused) = error.chain().find_map(|cause| cause.downcast_ref::<Refused>()) else { return OWN_FAILURE };
    exec_code(&refused.message).unwrap_or(OWN_FAILURE)
}

/// The exit code that a shell gives for a command that could not be executed, read from the daemon's message. `None` when
/// the message is about something else.
pub fn exec_code(message: &str) -> Option<u8> {
    let message = message.to_ascii_lowercase();
    let of_command = ["exec", "command"].iter().any(|word| message.contains(word));
    let says = |texts: &[&str]| of_command && texts.iter().any(|text| message.contains(text));
    if says(&["no such file", "not found", "enoent"]) {
        Some(NOT_FOUND)
    } else if says(&["permission denied", "exec format", "is a directory", "eacces", "enoexec"]) {
        Some(NOT_EXECUTABLE)
    } else {
        None
    }
}

/// An error with the program's exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened, with its causes.
    pub error: anyhow::Error,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Failure {}

/// Attaches an exit code to an error: `.map_err(with_code(OWN_FAILURE))`.
pub fn with_code(code: u8) -> impl FnOnce(anyhow::Error) -> anyhow::Error {
    move |error| Failure { code, error }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_has_the_code_of_a_shell() {
        let rows = [
            ("execve \"/bin/nope\": No such file or directory (os error 2)", 127),
            ("command \"nope\" not found in PATH", 127),
            ("execve /etc/passwd: Permission denied", 126),
            ("execve /bin/x: Exec format error", 126),
            ("mount /a: No such file or directory", 125),
            ("cgroup: out of memory", 125),
        ];
        for (message, expected) in rows {
            let error = refused(|| "start a")(Status::internal(message));
            assert_eq!(start_code(&error), expected, "{message}");
        }
        assert_eq!(start_code(&anyhow::anyhow!("other")), 125);
    }

    #[test]
    fn what_was_tried_is_said_once() {
        let shown = |tried: &'static str, message: &str| refused(|| tried)(Status::internal(message)).to_string();
        assert_eq!(shown("start container web", "start container 12ab: exec: gone"), "start container web: exec: gone");
        assert_eq!(
            shown("start container web", "the pod is not ready: stopped"),
            "start container web: the pod is not ready: stopped"
        );
        assert_eq!(shown("list pods", "list pods"), "list pods: list pods");
    }

    #[test]
    fn the_code_is_found_below_any_context() {
        let error = refused(|| "stop a")(Status::not_found("gone")).context("while stopping");
        assert_eq!(code(&error), Some(Code::NotFound));
        assert_eq!(format!("{error:#}"), "while stopping: stop a: gone");
    }
}
