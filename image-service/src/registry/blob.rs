// SPDX-License-Identifier: Apache-2.0
//! Downloads a layer blob, resuming where a connection broke; the taker compares the digest.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use http::header::CONTENT_RANGE;
use reqwest::Response;

use super::manifest::Descriptor;
use super::{Ask, Endpoint, Error, Failure, Failures, Pace, Registry};
use crate::unpack::pipe::Sink;

/// An attempt that brought this much does not count as failed: long downloads over bad lines get through.
const PROGRESS: u64 = 1 << 20;
/// Pieces handed on are at most this large, so that the pipe's bound is one in bytes.
const PIECE: usize = 256 << 10;

/// Which hosts may serve a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// Mirrors first.
    All,
    /// The registry itself only: a mirror's bytes were wrong.
    OriginOnly,
}

/// A download under way.
struct Download<'a> {
    blob: &'a Descriptor,
    sink: Sink,
    received: &'a AtomicU64,
    offset: u64,
    what: String,
}

impl Registry {
    /// Sends the whole blob to `sink`, and its end; `received` follows.
    ///
    /// - Errors: [`Error`]; the sink is then dropped without its end.
    /// - Cancel: dropping the future ends the download.
    pub async fn blob(&self, blob: &Descriptor, from: Servers, sink: Sink, received: &AtomicU64) -> Result<(), Error> {
        let what = format!("layer {} of {}", blob.digest, self.reference.repository());
        let mut download = Download { blob, sink, received, offset: 0, what };
        let mut failures = Failures::default();
        let mut attempts = 0;
        let able = |endpoint: &&Endpoint| endpoint.host.pull && (from == Servers::All || endpoint.host.is_origin);
        for endpoint in self.endpoints.iter().filter(able) {
            let mut attempt = 0;
            while attempt < self.attempts(endpoint) {
                let before = download.offset;
                match self.stream(endpoint, &mut download).await {
                    Ok(()) => return download.sink.end().await.map_err(|_| Error::GivenUp),
                    Err(Failure::Final(Error::GivenUp)) => return Err(Error::GivenUp),
                    Err(Failure::Final(error)) => {
                        failures.add_final(endpoint, error);
                        break;
                    }
                    Err(Failure::Passing { why, after }) => {
                        attempts += 1;
                        attempt = if download.offset - before >= PROGRESS { 0 } else { attempt + 1 };
                        tracing::debug!(what = download.what, offset = download.offset, why, "download interrupted");
                        failures.add_passing(endpoint, &why);
                        if attempt < self.attempts(endpoint) {
                            tokio::time::sleep(self.pause(attempt, after)).await;
                        }
                    }
                }
            }
        }
        if download.offset > 0 && failures.origin.is_none() {
            let (what, received, total) = (download.what, download.offset, blob.size);
            return Err(Error::Stalled { what, received, total, attempts, last: failures.passing.join("; ") });
        }
        Err(failures.into_error(&download.what))
    }

    /// One request; moves the offset by what it brings.
    async fn stream(&self, endpoint: &Endpoint, download: &mut Download<'_>) -> Result<(), Failure> {
        let size = download.blob.size;
        let range = (download.offset > 0).then(|| (download.offset, size.saturating_sub(1)));
        let what = download.what.clone();
        let answer = endpoint.send(&Ask::blob(&download.blob.digest, range, &what)).await?;
        let mut skip = bytes_to_skip(&answer, download.offset)?;
        let (mut answer, mut pace) = (answer, Pace::new(&self.config));
        while let Some(mut chunk) = pace.next(&mut answer, download.offset, Some(size)).await? {
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            let _ = chunk.split_to(skipped as usize);
            if download.offset + chunk.len() as u64 > size {
                return Err(Failure::Final(Error::TooLarge { what, limit: size }));
            }
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(PIECE));
                let n = piece.len() as u64;
                download.sink.send(piece).await.map_err(|_| Failure::Final(Error::GivenUp))?;
                download.offset += n;
                download.received.store(download.offset, Ordering::Relaxed);
            }
        }
        if download.offset < size {
            let why = format!("the answer ended at {} of {size} bytes", download.offset);
            return Err(Failure::Passing { why, after: None });
        }
        Ok(())
    }
}

/// A whole answer to a request for the rest is fine: what is there already is skipped.
fn bytes_to_skip(answer: &Response, offset: u64) -> Result<u64, Failure> {
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(offset);
    }
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or("");
    let start =
        range.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(|s| s.trim().parse::<u64>().ok());
    match start {
        Some(start) if start <= offset => Ok(offset - start),
        _ => Err(Failure::Passing { why: "the answer is another range than asked for".to_owned(), after: None }),
    }
}
