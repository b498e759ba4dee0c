// SPDX-License-Identifier: Apache-2.0
//! Downloads a layer blob, and resumes after a broken connection. The consumer checks the digest.
//!
//! If a host gives no usable response to a request for the rest of a blob, the whole blob is requested again, from the
//! first byte and into an empty pipe, so that parts of different blobs are never joined.

use crate::registry::ask::Ask;
use crate::registry::endpoint::Endpoint;
use crate::registry::endpoints::Registry;
use crate::registry::error::{Error, Failure};
use crate::registry::pace::Pace;
use crate::registry::rest;
use crate::registry::turn::Turn;
use crate::registry::turns::{Failures, Turns};
use crate::registry::wait::Wait;
use gorae_image_formats::manifest::Descriptor;
use gorae_unpack::pipe::Sink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An attempt that delivered this many bytes does not count as failed, so that long downloads over bad lines succeed.
const PROGRESS: u64 = 1 << 20;
/// The largest piece that is passed on, so that the pipe is bounded in bytes.
const PIECE: usize = 256 << 10;
/// The hosts that may serve a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// All of them, mirrors first.
    All,
    /// Only the registry itself, because a mirror served wrong bytes.
    OriginOnly,
}

/// How a run of a download ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The whole blob was sent, and its end.
    Whole,
    /// The blob must start over, in a new pipe.
    Anew,
}

/// A blob that is being downloaded, over as many hosts, connections and restarts as necessary.
#[derive(Debug)]
pub struct Download {
    registry: Arc<Registry>,
    blob: Descriptor,
    what: String,
    turns: Turns,
    turn: Option<Turn>,
    failures: Failures,
    attempts: u32,
    /// The furthest byte that any start reached.
    furthest: u64,
}

/// One start of the blob.
struct Stream<'a> {
    sink: Sink,
    offset: u64,
    received: &'a AtomicU64,
}

impl Registry {
    /// Prepares the download of a blob; sends nothing.
    pub fn download(self: &Arc<Self>, blob: &Descriptor, from: Servers) -> Download {
        let able =
            |endpoint: &Endpoint| endpoint.site.host.pull && (from == Servers::All || endpoint.site.host.is_origin);
        Download {
            turns: Turns::new(self, able),
            registry: Arc::clone(self),
            what: format!("layer {} of {}", blob.digest, self.reference.repository()),
            blob: blob.clone(),
            turn: None,
            failures: Failures::default(),
            attempts: 0,
            furthest: 0,
        }
    }
}

impl Download {
    /// Sends the blob from its first byte to `sink`, then its end; `received` counts the bytes.
    ///
    /// - Cancel: dropping the future ends the download.
    ///
    /// # Errors
    /// [`Error`]. The sink is then dropped without an end, as it is when the blob must start over.
    pub async fn run(&mut self, sink: Sink, received: &AtomicU64) -> Result<Ended, Error> {
        received.store(0, Ordering::Relaxed);
        let registry = Arc::clone(&self.registry);
        let wait = registry.waits.begin(&registry.config, &self.what);
        let stream = Stream { sink, offset: 0, received };
        wait.watch(self.run_watched(&registry, stream, &wait)).await
    }

    async fn run_watched(&mut self, registry: &Registry, mut stream: Stream<'_>, wait: &Wait) -> Result<Ended, Error> {
        loop {
            let mut turn = match self.turn.take() {
                Some(turn) => turn,
                None => match self.turns.next(registry, &self.failures) {
                    Some((place, allowed)) => Turn::new(place, allowed),
                    None => return Err(self.give_up()),
                },
            };
            let endpoint = &registry.endpoints[turn.place];
            wait.ask(&endpoint.site.name());
            let failure = match self.ask(endpoint, &mut turn, &mut stream, wait).await {
                Ok(()) => {
                    return wait.aside(stream.sink.end()).await.map(|()| Ended::Whole).map_err(|_| Error::GivenUp);
                }
                Err(Failure::Final(Error::GivenUp)) => return Err(Error::GivenUp),
                Err(failure) => failure,
            };
            if let Some(pause) = self.settle(endpoint, &mut turn, stream.offset, failure) {
                // Ask the same host again, from the first byte if it cannot continue.
                let anew = stream.offset > 0 && turn.no_parts || pause.anew;
                self.turn = Some(turn);
                tokio::time::sleep(pause.time).await;
                if anew {
                    return Ok(Ended::Anew);
                }
            }
        }
    }

    /// Makes one request, and advances the offset by the bytes that arrive.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        turn: &mut Turn,
        stream: &mut Stream<'_>,
        wait: &Wait,
    ) -> Result<(), Failure> {
        let size = self.blob.size;
        let range = (stream.offset > 0).then(|| (stream.offset, size.saturating_sub(1)));
        let asked = endpoint.send(&Ask::blob(&self.blob.digest, range, &self.what)).await;
        let mut answer = match range {
            Some(_) => asked.map_err(|failure| turn.rest_refused(failure))?,
            None => asked?,
        };
        let mut skip = rest::bytes_to_skip(&answer, stream.offset, size, &mut turn.validator)?;
        let mut pace = Pace::new(&self.registry.config);
        while let Some(mut chunk) = pace.next(&mut answer, stream.offset, Some(size)).await? {
            wait.came(chunk.len());
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            let _ = chunk.split_to(skipped as usize);
            if stream.offset + chunk.len() as u64 > size {
                return Err(Failure::Final(Error::TooLarge { what: self.what.clone(), limit: size }));
            }
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(PIECE));
                let n = piece.len() as u64;
                wait.aside(stream.sink.send(piece)).await.map_err(|_| Failure::Final(Error::GivenUp))?;
                stream.offset += n;
                stream.received.store(stream.offset, Ordering::Relaxed);
            }
        }
        if stream.offset < size {
            let why = format!("the response ended at {} of {size} bytes", stream.offset);
            return Err(Failure::Passing { why, after: None });
        }
        Ok(())
    }

    /// Records a failure. Returns the pause before the same host is tried again, `None` if its turn is over.
    fn settle(&mut self, endpoint: &Endpoint, turn: &mut Turn, offset: u64, failure: Failure) -> Option<Pause> {
        let gained = offset.saturating_sub(self.furthest);
        self.furthest = self.furthest.max(offset);
        tracing::debug!(what = self.what, offset, ?failure, "download interrupted");
        let anew = matches!(failure, Failure::Rest { .. });
        if let Failure::Rest { why, no_parts } = &failure {
            turn.no_parts |= no_parts;
            if !std::mem::replace(&mut turn.begun_anew, true) {
                self.failures.add_passing(endpoint, why);
                return Some(Pause { time: Duration::ZERO, anew });
            }
        }
        turn.attempt = if gained >= PROGRESS { 0 } else { turn.attempt + 1 };
        let goes_on = turn.attempt < turn.allowed;
        let over = (!goes_on).then_some(self.registry.config.unreached_pause);
        let after = self.failures.note(endpoint, failure, over)?;
        self.attempts += 1;
        goes_on.then(|| Pause { time: self.registry.pause(turn.attempt, after), anew })
    }

    fn give_up(&mut self) -> Error {
        let (failures, what) = (std::mem::take(&mut self.failures), self.what.clone());
        if self.furthest > 0 && failures.origin.is_none() {
            let (received, total, attempts) = (self.furthest, self.blob.size, self.attempts);
            return Error::Stalled { what, received, total, attempts, last: failures.passing.join("; ") };
        }
        failures.into_error(&what)
    }
}

/// The pause before a host is tried again.
struct Pause {
    time: Duration,
    /// Whether to request the whole blob.
    anew: bool,
}
