// SPDX-License-Identifier: Apache-2.0
//! The errors of a profile, and the limits on its size.

/// The largest profile text, in bytes. The largest in use are about 30 kB.
pub const LARGEST_PROFILE: usize = 1 << 20;

/// The longest program we generate, in instructions: the kernel's BPF_MAXINSNS. Every reachable node is at least one.
pub(super) const LONGEST: usize = 4096;

/// Why a profile was refused. InvalidArgument for the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is larger than [`LARGEST_PROFILE`].
    #[error("seccomp profile of {0} bytes: the limit is {LARGEST_PROFILE}")]
    TooLarge(usize),
    /// The text is not JSON of the known form; the message contains line and column.
    #[error("parse seccomp profile: {0}")]
    Json(#[from] serde_json::Error),
    /// A part of it is not valid.
    #[error("seccomp profile, {place}: {why}")]
    Invalid {
        /// The part: `defaultAction`, `syscalls[3].args[0]`.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// It asks for a supervisor process.
    #[error("seccomp profile, {place}: notifying a supervisor process is not supported")]
    Notify {
        /// The part that asks for it.
        place: String,
    },
    /// It needs more instructions than the kernel accepts.
    #[error("seccomp profile needs more than {} instructions, the most that the kernel accepts", LONGEST)]
    TooLong,
}
