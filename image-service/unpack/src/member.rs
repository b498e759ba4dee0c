// SPDX-License-Identifier: Apache-2.0
//! A member of an archive: what it is, without its data.

use crate::error::Error;
use crate::pieces::Pieces;
use crate::refusal::{Refusal, shown};

/// The latest time that other runtimes set: the most that 64 bits of nanoseconds can hold, in the year 2262.
const LATEST: Time = Time { seconds: i64::MAX / 1_000_000_000, nanos: i64::MAX % 1_000_000_000 };

/// A point in time as the kernel takes it: `nanos` is 0 to 999,999,999 also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanos: i64,
}

impl Time {
    /// The start of 1970 for a time that is earlier or later than other runtimes (and some file systems) accept.
    pub fn bounded(self) -> Self {
        if (Self::default()..=LATEST).contains(&self) { self } else { Self::default() }
    }
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Directory,
    /// `data` says where the member's bytes go in a file of `length`.
    File {
        length: u64,
        data: Pieces,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name for a member that came before.
    Hardlink {
        target: Vec<u8>,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// One member without its data.
#[derive(Debug, Clone)]
pub struct Member {
    /// As in the archive: anything at all.
    pub path: Vec<u8>,
    pub content: Content,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub atime: Time,
    pub mtime: Time,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    /// The error for what the kernel did not do for it.
    pub fn failed(&self, refusal: impl Into<Refusal>) -> Error {
        refusal.into().of(&self.path)
    }

    /// The error for what is not done for it.
    pub fn refused(&self, why: &str) -> Error {
        Error::Member { path: shown(&self.path), why: why.to_owned() }
    }
}
