// SPDX-License-Identifier: Apache-2.0
//! Blob bytes → tar bytes: gzip, zstd or plain, with the blob's own digest and size compared on the way.
//!
//! The compression is detected from the first bytes, not from the media type: registries hold layers whose type is wrong.

use crate::error::Error;
use crate::pipe::{Sink, Source};
use bytes::Bytes;
use gorae_digest::{Digest, Hasher};
use std::io::{self, BufRead, Read};

/// Size of the chunks handed on: large enough to make the hand-over cheap, small enough to stay in cache.
const CHUNK: usize = 128 << 10;
/// Largest zstd window, what the strongest usual level (`--ultra -22`) needs: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Number of bytes from which the compression is detected.
const MAGIC: usize = 4;

/// What a manifest says about a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFacts {
    /// Digest of the bytes as the registry has them.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// Inflates `blob` into `plain` and compares digest and size at the end.
///
/// # Errors
/// [`Error::Cut`] when either neighbour gave up; [`Error::Inflate`], [`Error::BlobSize`], [`Error::BlobDigest`].
pub fn run(blob: Source, plain: Sink, expected: &BlobFacts) -> Result<(), Error> {
    let mut hashed = HashedBlob { source: blob, hasher: Hasher::new(expected.digest.algorithm()), read: 0 };
    let inflated = inflate(&mut hashed, &plain);
    // A wrong blob usually breaks the format as well: the digest says it better, so read on to the end.
    let drained = match inflated {
        Err(Error::Cut) => Err(Error::Cut),
        _ => io::copy(&mut hashed, &mut io::sink()).map(drop).map_err(|_| Error::Cut),
    };
    drained?;
    let (found, read) = (hashed.hasher.finish(), hashed.read);
    if read != expected.size {
        return Err(Error::BlobSize { expected: expected.size, found: read });
    }
    if found != expected.digest {
        return Err(Error::BlobDigest { expected: expected.digest.clone(), found });
    }
    inflated?;
    plain.end_blocking().map_err(|_| Error::Cut)
}

fn inflate(blob: &mut HashedBlob, plain: &Sink) -> Result<(), Error> {
    // However few bytes arrive first: a network may deliver them one by one.
    let first = blob.source.peek(MAGIC).map_err(|_| Error::Cut)?;
    if first.starts_with(&[0x1f, 0x8b]) {
        return forward(flate2::bufread::MultiGzDecoder::new(blob), plain);
    }
    if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_frame(first) {
        let mut decoder = zstd::Decoder::with_buffer(blob).map_err(Error::Inflate)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Error::Inflate)?;
        return forward(decoder, plain);
    }
    forward(blob, plain)
}

/// zstd streams may begin with frames of user data (0x184D2A50 to 0x184D2A5F, little-endian).
fn is_skippable_frame(first: &[u8]) -> bool {
    matches!(first, [low, 0x2a, 0x4d, 0x18, ..] if low & 0xf0 == 0x50)
}

fn forward(mut from: impl Read, to: &Sink) -> Result<(), Error> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let n = fill(&mut from, &mut chunk)?;
        if n == 0 {
            return Ok(());
        }
        chunk.truncate(n);
        to.send_blocking(Bytes::from(chunk)).map_err(|_| Error::Cut)?;
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::Inflate(e)),
        }
    }
    Ok(filled)
}

/// The blob with its running hash: each byte is hashed when the decoder takes it.
struct HashedBlob {
    source: Source,
    hasher: Hasher,
    read: u64,
}

impl BufRead for HashedBlob {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        // What is consumed was in the last filled buffer, so this cannot block or fail.
        if n > 0
            && let Ok(buffer) = self.source.fill_buf()
        {
            self.hasher.update(&buffer[..n]);
            self.read += n as u64;
        }
        self.source.consume(n);
    }
}

impl Read for HashedBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
