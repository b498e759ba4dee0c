// SPDX-License-Identifier: Apache-2.0
//! The request of an exec or attach client, and the wording of its end.

use super::status::Outcome;
use crate::backend::{AttachRequest, ExecRequest};
use tonic::Status;

/// The request of the RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run a command.
    Exec(ExecRequest),
    /// Join a container's stdio.
    Attach(AttachRequest),
}

impl Task {
    /// Whether the process has a terminal.
    pub(crate) fn tty(&self) -> bool {
        match self {
            Self::Exec(exec) => exec.tty,
            Self::Attach(attach) => attach.tty,
        }
    }

    /// Whether stdin, stdout and stderr are wanted.
    pub(crate) fn streams(&self) -> [bool; 3] {
        match self {
            Self::Exec(exec) => [exec.stdin, exec.stdout, exec.stderr],
            Self::Attach(attach) => [attach.stdin, attach.stdout, attach.stderr],
        }
    }

    /// Words a failure in the form that clients know.
    pub(crate) fn failed(&self, detail: &str) -> Outcome {
        match self {
            Self::Exec(_) => Outcome::exec_failed(detail),
            Self::Attach(_) => Outcome::attach_failed(detail),
        }
    }

    /// Words the end of the process: an exit code, or why it is unknown.
    pub(crate) fn ended(&self, result: Result<i32, Status>) -> Outcome {
        match (self, result) {
            (_, Err(status)) => self.failed(status.message()),
            (Self::Attach(_), Ok(_)) | (_, Ok(0)) => Outcome::Success,
            (Self::Exec(exec), Ok(code)) => {
                let command = exec.command.first().map_or("", String::as_str).chars().take(128).collect();
                Outcome::ExitCode { code, command }
            }
        }
    }
}
