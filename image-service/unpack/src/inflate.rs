// SPDX-License-Identifier: Apache-2.0
//! Blob bytes → tar bytes: gzip, zstd or plain; checks the digest and size of the blob along the way.
//!
//! The compression is detected from the first bytes, not from the media type: some registries hold layers with a wrong type.

use crate::error::Error;
use crate::pipe::{Sink, Source};
use bytes::Bytes;
use gorae_digest::{Digest, Hasher};
use std::io::{self, BufRead, Read};

/// Size of the chunks that are passed on: large enough to make passing cheap, small enough to stay in cache.
const CHUNK: usize = 128 << 10;
/// Largest zstd window: 128 MiB, which the strongest usual level (`--ultra -22`) needs.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Number of bytes that the compression is detected from.
const MAGIC: usize = 4;

/// The size and digest of a blob from the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFacts {
    /// Digest of the bytes as the registry stores them.
    pub digest: Digest,
    /// Size of the blob in bytes.
    pub size: u64,
}

/// Inflates `blob` into `plain`, then checks digest and size.
///
/// # Errors
/// [`Error::Cut`] if either neighbour gave up; [`Error::Inflate`], [`Error::BlobSize`], [`Error::BlobDigest`].
pub fn run(blob: Source, plain: Sink, expected: &BlobFacts) -> Result<(), Error> {
    let mut hashed = HashedBlob { source: blob, hasher: Hasher::new(expected.digest.algorithm()), read: 0 };
    let inflated = inflate(&mut hashed, &plain);
    // A wrong blob usually breaks the format as well. A digest mismatch is the better error, so read to the end.
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
    // Waits for all of them: a network may deliver single bytes.
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

/// Whether this is a zstd frame of user data, which may precede the stream (0x184D2A50 to 0x184D2A5F, little-endian).
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

/// The blob with its running hash: bytes are hashed as the decoder consumes them.
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
        // The consumed bytes are in the last filled buffer, so this cannot block or fail.
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
