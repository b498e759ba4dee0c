// SPDX-License-Identifier: Apache-2.0
//! Numbers that look random and are the same every time, and what is made with them: cuts and mutations.

/// Marsaglia's xorshift.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    /// Changes bytes the way a fuzzer does: flips, extremes, repetitions, holes, an early end.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            if bytes.is_empty() {
                bytes.push(self.next() as u8);
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.next() as u8,
                2 => bytes[at] = [0, 0xff, 0x7f, 0x80][self.below(4)],
                3 => bytes.truncate(at),
                4 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => drop(bytes.drain(at..(at + self.below(16)).min(bytes.len()))),
            }
        }
    }
}

/// Cuts bytes into pieces, mostly of a few bytes, in a way that depends on the bytes alone.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::new(u64::from(crc32fast::hash(bytes)) << 8);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let most = if random.below(8) == 0 { 3000 } else { 12 };
        let (piece, after) = rest.split_at((1 + random.below(most)).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
