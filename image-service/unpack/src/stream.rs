// SPDX-License-Identifier: Apache-2.0
//! The uncompressed stream on its way to the archive reader: hashed, counted and bounded as it is read.

use crate::error::Error;
use crate::limits::Limits;
use crate::pipe::Source;
use gorae_digest::{Algorithm, Digest, Hasher};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// The uncompressed stream with its hash, progress counter and bound.
pub struct Stream<'a> {
    source: Source,
    hasher: Hasher,
    count: &'a AtomicU64,
    read: u64,
    limit: u64,
}

impl<'a> Stream<'a> {
    /// Reads from `source`; adds the bytes read to `count` and fails after `limit` bytes.
    pub fn new(source: Source, algorithm: Algorithm, count: &'a AtomicU64, limit: u64) -> Self {
        Self { source, hasher: Hasher::new(algorithm), count, read: 0, limit }
    }

    /// Reads the padding after the archive's end, which counts for the diff id, and returns the digest of the whole stream.
    ///
    /// # Errors
    /// [`Error::Limit`], and [`Error::Cut`] if the stream was cut.
    pub fn finish(mut self) -> Result<Digest, Error> {
        let mut buffer = [0; 16 << 10];
        while self.read(&mut buffer).map_err(failed)? > 0 {}
        Ok(self.hasher.finish())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.read += n as u64;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        if self.read > self.limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, LimitReached(self.limit)));
        }
        Ok(n)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("stream limit of {0} bytes")]
struct LimitReached(u64);

/// Converts a read error of a [`Stream`], which is either its bound or a cut pipe.
pub fn failed(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<LimitReached>()) {
        Some(LimitReached(limit)) => Error::Limit { what: Limits::STREAM, limit: *limit },
        None => Error::Cut,
    }
}
