// SPDX-License-Identifier: Apache-2.0
//! A checked request to run a command in the container.

use crate::malformed::{Malformed, Result, absolute, arguments, c_string, each};
use crate::wire;
use std::ffi::CString;
use std::time::Duration;

/// A command; `None` stands for the container's own value.
#[derive(Debug)]
pub struct Request {
    /// argv, with at least one word.
    pub args: Vec<CString>,
    /// The environment.
    pub env: Option<Vec<CString>>,
    /// Absolute, in the container.
    pub cwd: Option<CString>,
    /// Where its input comes from and its output goes.
    pub streams: Streams,
    /// How long it may run; `None` means no limit.
    pub timeout: Option<Duration>,
}

/// Where input comes from and output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// A new terminal, with the given rows and columns when they are known.
    Terminal(Option<(u32, u32)>),
    /// The descriptors that came with the request, for the streams that are set; the null device for the others.
    Sent {
        /// Whether a descriptor was sent for stdin.
        stdin: bool,
        /// Whether a descriptor was sent for stdout.
        stdout: bool,
        /// Whether a descriptor was sent for stderr.
        stderr: bool,
    },
}

impl Request {
    /// Checks the message.
    ///
    /// # Errors
    /// With the first invalid field.
    pub fn checked(exec: wire::Exec) -> Result<Self> {
        let env = each("env", exec.env, |variable| c_string("", variable))?;
        let cwd = match exec.cwd.is_empty() {
            true => None,
            false => Some(c_string("cwd", absolute("cwd", exec.cwd)?.into_bytes())?),
        };
        let streams = match (exec.tty, exec.rows, exec.columns) {
            (true, 0, _) | (true, _, 0) => Streams::Terminal(None),
            (true, rows, columns) => Streams::Terminal(Some((rows, columns))),
            (false, ..) => Streams::Sent { stdin: exec.stdin, stdout: exec.stdout, stderr: exec.stderr },
        };
        Ok(Self {
            args: arguments(exec.args)?,
            env: Some(env).filter(|env| !env.is_empty()),
            cwd,
            streams,
            timeout: Some(exec.timeout_ms).filter(|&ms| ms > 0).map(Duration::from_millis),
        })
    }

    /// Checks that a descriptor was sent for each stream.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn check_descriptors(&self, sent: usize) -> Result<()> {
        let named = match self.streams {
            Streams::Terminal(_) => 0,
            Streams::Sent { stdin, stdout, stderr } => {
                [stdin, stdout, stderr].into_iter().filter(|&named| named).count()
            }
        };
        if sent >= named {
            return Ok(());
        }
        Err(Malformed::new("stdin, stdout, stderr", format!("{sent} descriptors were sent for {named} streams")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec() -> wire::Exec {
        wire::Exec { args: vec![b"true".to_vec()], ..wire::Exec::default() }
    }

    #[test]
    fn what_is_not_said_is_the_containers() {
        let request = Request::checked(exec()).unwrap();
        assert_eq!((request.env, request.cwd, request.timeout), (None, None, None));
        assert_eq!(request.streams, Streams::Sent { stdin: false, stdout: false, stderr: false });
        let terminal = wire::Exec { tty: true, rows: 3, columns: 4, ..exec() };
        assert_eq!(Request::checked(terminal).unwrap().streams, Streams::Terminal(Some((3, 4))));
        let without_size = wire::Exec { tty: true, rows: 3, ..exec() };
        assert_eq!(Request::checked(without_size).unwrap().streams, Streams::Terminal(None));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for wrong in [
            wire::Exec { args: vec![], ..exec() },
            wire::Exec { env: vec![b"A=\0".to_vec()], ..exec() },
            wire::Exec { cwd: "relative".into(), ..exec() },
        ] {
            assert!(Request::checked(wrong.clone()).is_err(), "{wrong:?}");
        }
        let both = Request::checked(wire::Exec { stdout: true, stderr: true, ..exec() }).unwrap();
        assert!(both.check_descriptors(2).is_ok() && both.check_descriptors(1).is_err());
    }
}
