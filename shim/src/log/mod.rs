// SPDX-License-Identifier: Apache-2.0
//! The container's CRI log: records of both output streams in one file.
//!
//! Owns the file, the cutting of output into records (`records`) and the handling of failed writes. For the caller a
//! write never fails and never blocks. While the file refuses writes, records are kept in a bounded backlog, then dropped
//! and counted; once writes work again, a marker record states the count.
//!
//! ```text
//! healthy --write fails--> outage{backlog} --backlog full--> outage{backlog, lost}
//!    ^-- backlog written, then "N bytes were lost" when N > 0 --'
//! ```
//!
//! Invariants: the file holds whole records only; a batch is one `write`; stamps never go back; memory is bounded
//! by `BATCH`, one read and the backlog, and an idle log holds none of them.

mod error;
mod file;
mod outage;
mod records;
mod stamp;

pub use error::Error;
pub use records::Stream;

use file::LogFile;
use outage::Outage;
use records::{Heads, Lines, content_bytes};
use stamp::Clock;
use std::path::Path;
use std::time::Instant;

/// Content of one record, as other runtimes have it; an unfinished line waits in memory up to here.
const MAX_LINE: usize = 16 << 10;
/// A batch is written when it reaches this size: one read of ordinary lines fits.
const BATCH: usize = 192 << 10;

/// The log of one container.
#[derive(Debug)]
pub struct Log {
    file: Option<LogFile>,
    lines: [Lines; 2],
    clock: Clock,
    batch: Vec<u8>,
    outage: Option<Outage>,
    lost: u64,
}

impl Log {
    /// Opens the log at `path`; without one output is dropped.
    ///
    /// - Shapes: `path` absolute; `terminal` keeps carriage returns.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: Option<&Path>, terminal: bool) -> Result<Self, Error> {
        let file = path.map(LogFile::open).transpose()?;
        let lines = [Lines::new(MAX_LINE, terminal), Lines::new(MAX_LINE, terminal)];
        Ok(Self { file, lines, clock: Clock::default(), batch: Vec::new(), outage: None, lost: 0 })
    }

    /// Logs what `stream` put out. Never fails and never waits for room.
    pub fn write(&mut self, stream: Stream, mut output: &[u8]) {
        if self.file.is_none() {
            return;
        }
        if self.batch.capacity() == 0 {
            self.batch.reserve(BATCH + MAX_LINE);
        }
        let heads = Heads::new(&self.clock.now(), stream);
        while !output.is_empty() {
            let done = self.lines[stream as usize].push(output, &heads, &mut self.batch, BATCH);
            output = &output[done..];
            self.flush();
        }
    }

    /// The stream has ended: its unfinished line is logged as it is.
    pub fn finish(&mut self, stream: Stream) {
        let heads = Heads::new(&self.clock.now(), stream);
        self.lines[stream as usize].finish(&heads, &mut self.batch);
        self.flush();
    }

    /// Opens the path anew and switches to it; the new file exists when this returns.
    ///
    /// # Errors
    /// See [`Error`]; the old file then stays in use.
    pub fn reopen(&mut self) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.reopen()?;
            self.retry();
        }
        Ok(())
    }

    /// When [`Log::retry`] wants to be called; `None` while writes work.
    pub fn retry_at(&self) -> Option<Instant> {
        self.outage.as_ref().map(|outage| outage.retry_at)
    }

    /// Tries to write what waits since a write failed.
    pub fn retry(&mut self) {
        let (Some(file), Some(outage)) = (&self.file, &mut self.outage) else { return };
        let stamp = self.clock.now();
        if outage.settle(file, &stamp) {
            self.lost += outage.lost;
            self.outage = None;
        }
    }

    /// The last chance before the process ends: tries once more, and counts what cannot be written as lost.
    pub fn settle(&mut self) {
        self.retry();
        if let Some(outage) = self.outage.take() {
            self.lost += outage.lost + content_bytes(&outage.backlog);
        }
    }

    /// Bytes of output that the log does not have because writes failed.
    pub fn gap_bytes(&self) -> u64 {
        self.lost + self.outage.as_ref().map_or(0, |outage| outage.lost)
    }

    /// Whether [`Log::release`] would give memory back.
    pub fn holds_buffers(&self) -> bool {
        self.batch.capacity() > 0
    }

    /// Gives the batch buffer back; the next write allocates anew.
    pub fn release(&mut self) {
        self.batch = Vec::new();
        self.lines.iter_mut().for_each(Lines::release);
    }

    fn flush(&mut self) {
        let (Some(file), false) = (&self.file, self.batch.is_empty()) else { return };
        match &mut self.outage {
            Some(outage) => {
                outage.keep(&self.batch);
                if Instant::now() >= outage.retry_at {
                    self.retry();
                }
            }
            None => {
                if let Err(stopped) = file.append(&self.batch) {
                    self.outage = Some(Outage::begin(&self.batch, stopped));
                }
            }
        }
        self.batch.clear();
    }
}

#[cfg(test)]
mod tests;
