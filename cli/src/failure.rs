// SPDX-License-Identifier: Apache-2.0
//! How a command fails: what was tried, what the daemon answered, and the program's exit code.

use tonic::{Code, Status};

/// The daemon refused a request.
#[derive(Debug)]
pub struct Refused {
    /// What was tried, on which object.
    pub tried: String,
    /// The gRPC code.
    pub code: Code,
    /// The daemon's sentence.
    pub message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Code::Unimplemented => write!(f, "{}: this daemon cannot do it ({})", self.tried, self.message),
            Code::Unavailable => write!(f, "{}: the daemon does not answer ({})", self.tried, self.message),
            _ => write!(f, "{}: {}", self.tried, without_repetition(&self.tried, &self.message)),
        }
    }
}

/// The daemon says what it was doing, too: "start container web: start container 12ab: why" says it once.
fn without_repetition<'a>(tried: &str, message: &'a str) -> &'a str {
    let verb_and_kind = tried.match_indices(' ').nth(1).map_or(tried, |(at, _)| &tried[..=at]);
    let rest = message.strip_prefix(verb_and_kind).and_then(|rest| rest.split_once(": "));
    rest.map_or(message, |(_, why)| why)
}

impl std::error::Error for Refused {}

/// Makes an error of the daemon's answer: `.map_err(refused(|| format!("stop {id}")))`.
pub fn refused<T: Into<String>>(tried: impl FnOnce() -> T) -> impl FnOnce(Status) -> anyhow::Error {
    move |status| {
        let message = if status.message().is_empty() { status.code().description() } else { status.message() };
        Refused { tried: tried().into(), code: status.code(), message: message.to_owned() }.into()
    }
}

/// The gRPC code behind an error, when the daemon gave one.
pub fn code(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(|cause| cause.downcast_ref::<Refused>()).map(|refused| refused.code)
}

/// Gorae itself failed, not the container.
pub const OWN_FAILURE: u8 = 125;
/// The command is there and cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command is not there.
pub const NOT_FOUND: u8 = 127;

/// The code that a shell would give for a container that did not start.
///
/// The daemon's code says what sort of failure it is; only its sentence says whether the command was the object.
pub fn start_code(error: &anyhow::Error) -> u8 {
    let Some(refused) = error.chain().find_map(|cause| cause.downcast_ref::<Refused>()) else { return OWN_FAILURE };
    exec_code(&refused.message).unwrap_or(OWN_FAILURE)
}

/// The code that a shell would give for a command that could not be executed, from the daemon's sentence; `None` when
/// something else failed than its execution.
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

/// An error with the exit code that the program is to end with.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub error: anyhow::Error,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Failure {}

/// Gives an error its exit code.
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
