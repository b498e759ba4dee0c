// SPDX-License-Identifier: Apache-2.0
//! A member of an archive, without its data.

use crate::error::Error;
use crate::pieces::Pieces;
use crate::refusal::{Refusal, shown};

/// The latest time that other runtimes set: the largest that fits into 64 bits of nanoseconds, in the year 2262.
const LATEST: Time = Time { seconds: i64::MAX / 1_000_000_000, nanos: i64::MAX % 1_000_000_000 };

/// A point in time in the kernel's form: `nanos` is 0 to 999,999,999 even before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanos: i64,
}

impl Time {
    /// Replaces a time that other runtimes (and some file systems) do not accept with the start of 1970.
    pub fn bounded(self) -> Self {
        if (Self::default()..=LATEST).contains(&self) { self } else { Self::default() }
    }
}

/// The kind of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Directory,
    /// `data` maps the member's bytes to positions in a file of `length` bytes.
    File {
        length: u64,
        data: Pieces,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name for an earlier member.
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
    /// The path as written in the archive; it may be anything.
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
    /// The error for an operation that the kernel refused.
    pub fn failed(&self, refusal: impl Into<Refusal>) -> Error {
        refusal.into().of(&self.path)
    }

    /// The error for a member that we refuse.
    pub fn refused(&self, why: &str) -> Error {
        Error::Member { path: shown(&self.path), why: why.to_owned() }
    }
}
