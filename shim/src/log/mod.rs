// SPDX-License-Identifier: Apache-2.0
//! The container's CRI log: records of both output streams in one file.
//!
//! Owns the file, the cutting of output into records (`records`) and the handling of failed writes. For the caller a
//! write never fails and never blocks. While the file refuses writes, records are kept in a bounded backlog; once that
//! is full they are dropped and counted. When writes work again, a marker record states the count.
//!
//! ```text
//! healthy --write fails--> outage{backlog} --backlog full--> outage{backlog, lost}
//!    ^-- backlog written, then "N bytes were lost" when N > 0 --'
//! ```
//!
//! Invariants: the file holds whole records only; a batch is one `write`; timestamps never go back; memory is bounded
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

/// Content bytes of one record, as in other runtimes; an unfinished line waits in memory up to this length.
const MAX_LINE: usize = 16 << 10;
/// A batch is written when it reaches this many bytes: one read of ordinary lines fits.
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
    /// Opens the log at `path`; without a path, output is dropped.
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

    /// Logs output of `stream`. Never fails and never waits for disk space.
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

    /// Ends the stream: its unfinished line is logged as it is.
    pub fn finish(&mut self, stream: Stream) {
        let heads = Heads::new(&self.clock.now(), stream);
        self.lines[stream as usize].finish(&heads, &mut self.batch);
        self.flush();
    }

    /// Opens the path again and switches to it; the new file exists when this returns.
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

    /// When to call [`Log::retry`]; `None` while writes work.
    pub fn retry_at(&self) -> Option<Instant> {
        self.outage.as_ref().map(|outage| outage.retry_at)
    }

    /// Retries the writes that have failed.
    pub fn retry(&mut self) {
        let (Some(file), Some(outage)) = (&self.file, &mut self.outage) else { return };
        let stamp = self.clock.now();
        if outage.settle(file, &stamp) {
            self.lost += outage.lost;
            self.outage = None;
        }
    }

    /// Makes a last attempt before the process ends, and counts what still cannot be written as lost.
    pub fn settle(&mut self) {
        self.retry();
        if let Some(outage) = self.outage.take() {
            self.lost += outage.lost + content_bytes(&outage.backlog);
        }
    }

    /// Bytes of output that are missing in the log because writes failed.
    pub fn gap_bytes(&self) -> u64 {
        self.lost + self.outage.as_ref().map_or(0, |outage| outage.lost)
    }

    /// Whether [`Log::release`] would free memory.
    pub fn holds_buffers(&self) -> bool {
        self.batch.capacity() > 0
    }

    /// Frees the batch buffer; the next write allocates it again.
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
