// SPDX-License-Identifier: Apache-2.0
//! The pipes between a container without a terminal and its shim.

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::os::fd::OwnedFd;

/// Room in the output pipes: the container runs on while a write to the log takes its time. A quarter of it (the
/// default) halves the throughput, more of it gains nothing.
const PIPE: usize = 256 << 10;

/// The shim's ends of a container's stdio.
#[derive(Debug)]
pub enum Ends {
    /// Three pipes; `stdin` only when one is kept open for attach.
    Pipes {
        /// Writable end.
        stdin: Option<OwnedFd>,
        /// Readable end.
        stdout: OwnedFd,
        /// Readable end.
        stderr: OwnedFd,
    },
    /// The master of the container's terminal.
    Terminal {
        /// Both ways.
        master: OwnedFd,
    },
}

/// The container's ends, to become its descriptors 0, 1 and 2.
#[derive(Debug)]
pub struct ChildEnds {
    /// A pipe, or what was given for it.
    pub stdin: OwnedFd,
    /// A pipe.
    pub stdout: OwnedFd,
    /// A pipe.
    pub stderr: OwnedFd,
}

/// Makes the pipes of a container without a terminal; all descriptors are close-on-exec. Without an `input` to read
/// from, its stdin is a pipe, too.
///
/// # Errors
/// What `pipe2` answered.
pub fn pipes(input: Option<OwnedFd>) -> Result<(Ends, ChildEnds), Errno> {
    let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    for pipe in [&stdout, &stderr] {
        // Above the user's allowance for pipes the default size stays.
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    let (child_stdin, stdin) = match input {
        Some(input) => (input, None),
        None => pipe_with(PipeFlags::CLOEXEC).map(|(read, write)| (read, Some(write)))?,
    };
    let child = ChildEnds { stdin: child_stdin, stdout: child_stdout, stderr: child_stderr };
    Ok((Ends::Pipes { stdin, stdout, stderr }, child))
}
