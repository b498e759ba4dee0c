// SPDX-License-Identifier: Apache-2.0
//! While the log file refuses writes: the backlog, the count of lost bytes, the next retry.

use super::file::{LogFile, Stopped};
use super::records::{Heads, Stream, content_bytes};
use super::stamp::STAMP;
use std::time::{Duration, Instant};

/// Bytes of records kept while the file refuses writes.
const BACKLOG: usize = 256 << 10;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The file refuses writes: which records are kept, how much is lost, when to retry.
#[derive(Debug)]
pub struct Outage {
    pub(super) backlog: Vec<u8>,
    pub(super) lost: u64,
    why: rustix::io::Errno,
    pub(super) retry_at: Instant,
    delay: Duration,
}

impl Outage {
    /// Begins with the first write that failed.
    pub fn begin(batch: &[u8], stopped: Stopped) -> Self {
        let retry_at = Instant::now() + FIRST_RETRY;
        let mut outage = Self { backlog: Vec::new(), lost: 0, why: stopped.errno, retry_at, delay: FIRST_RETRY };
        outage.keep(&batch[stopped.done..]);
        outage
    }

    /// Keeps records. Once some are dropped, all later ones are, so that the log has a single gap.
    pub fn keep(&mut self, records: &[u8]) {
        if self.lost == 0 && self.backlog.len() + records.len() <= BACKLOG {
            self.backlog.extend_from_slice(records);
        } else {
            self.lost += content_bytes(records);
        }
    }

    /// Writes the backlog and the marker; true when both are in the file.
    pub fn settle(&mut self, file: &LogFile, stamp: &[u8; STAMP]) -> bool {
        let written = file.append(&self.backlog).and_then(|()| {
            self.backlog = Vec::new();
            file.append(&self.marker(stamp))
        });
        let Err(stopped) = written else { return true };
        if !self.backlog.is_empty() {
            self.backlog.drain(..stopped.done);
        }
        self.why = stopped.errno;
        self.delay = (self.delay * 2).min(LAST_RETRY);
        self.retry_at = Instant::now() + self.delay;
        false
    }

    fn marker(&self, stamp: &[u8; STAMP]) -> Vec<u8> {
        let mut record = Vec::new();
        if self.lost > 0 {
            let why = std::io::Error::from(self.why);
            let text = format!("[gorae: {} bytes of output were lost here: {why}]", self.lost);
            Heads::new(stamp, Stream::Stderr).full(text.as_bytes(), &mut record);
        }
        record
    }
}
