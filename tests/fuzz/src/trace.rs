// SPDX-License-Identifier: Apache-2.0
//! What a parser made of its input, in a few bytes: two runs with the same trace have seen the same.

use std::fmt::Debug;

/// A running checksum of events. Bytes that come for the same stream one after another are one event.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    sum: crc32fast::Hasher,
    stream: Option<u32>,
}

impl Trace {
    /// Notes something that happened.
    pub fn event(&mut self, event: impl Debug) {
        self.stream = None;
        self.sum.update(format!("{event:?};").as_bytes());
    }

    /// Notes bytes of a stream.
    pub fn bytes(&mut self, stream: u32, bytes: &[u8]) {
        if self.stream != Some(stream) && !bytes.is_empty() {
            self.event(stream);
            self.stream = Some(stream);
        }
        self.sum.update(bytes);
    }

    /// The checksum of everything.
    pub fn end(self) -> u32 {
        self.sum.finalize()
    }
}
