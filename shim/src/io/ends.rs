// SPDX-License-Identifier: Apache-2.0
//! The pipes between a container without a terminal and its shim.

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::os::fd::OwnedFd;

/// Capacity of the output pipes in bytes: the container keeps running while a write to the log takes its time. A
/// quarter of it (the default) halves the throughput, and more gains nothing.
const PIPE: usize = 256 << 10;

/// The shim's ends of a container's stdio.
#[derive(Debug)]
pub enum Ends {
    /// Three pipes; `stdin` is only set when it is kept open for attach.
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
        /// For both directions.
        master: OwnedFd,
    },
}

/// The container's ends, which become its descriptors 0, 1 and 2.
#[derive(Debug)]
pub struct ChildEnds {
    /// A pipe, or the descriptor that was given for it.
    pub stdin: OwnedFd,
    /// A pipe.
    pub stdout: OwnedFd,
    /// A pipe.
    pub stderr: OwnedFd,
}

/// Makes the pipes of a container without a terminal; all descriptors are close-on-exec. Without an `input` to read
/// from, its stdin is a pipe as well.
///
/// # Errors
/// The error of `pipe2`.
pub fn pipes(input: Option<OwnedFd>) -> Result<(Ends, ChildEnds), Errno> {
    let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    for pipe in [&stdout, &stderr] {
        // Beyond the user's pipe quota the default size remains.
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    let (child_stdin, stdin) = match input {
        Some(input) => (input, None),
        None => pipe_with(PipeFlags::CLOEXEC).map(|(read, write)| (read, Some(write)))?,
    };
    let child = ChildEnds { stdin: child_stdin, stdout: child_stdout, stderr: child_stderr };
    Ok((Ends::Pipes { stdin, stdout, stderr }, child))
}
