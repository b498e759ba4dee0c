// SPDX-License-Identifier: Apache-2.0
//! Random numbers of the kernel, fetched many at a time.

use rustix::rand::{GetRandomFlags, getrandom};

/// How many bytes are fetched at a time. The kernel gives up to 256 whole.
const AT_ONCE: usize = 256;

/// A supply of numbers that nobody can guess.
#[derive(Debug)]
pub struct Random {
    bytes: [u8; AT_ONCE],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: [0; AT_ONCE], used: AT_ONCE }
    }
}

impl Random {
    /// A number of 16 bits.
    ///
    /// # Panics
    /// The kernel has no random numbers, which all that this server does depends on.
    pub fn word(&mut self) -> u16 {
        if self.used + 2 > AT_ONCE {
            let got = getrandom(&mut self.bytes, GetRandomFlags::empty());
            assert_eq!(got, Ok(AT_ONCE), "the kernel gives up to 256 random bytes whole, without an interruption");
            self.used = 0;
        }
        self.used += 2;
        u16::from_be_bytes([self.bytes[self.used - 2], self.bytes[self.used - 1]])
    }

    /// Brings a list into another order. Beyond 65,536 elements it does not reach all of them.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, usize::from(self.word()) % (last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_a_list_comes_up() {
        let mut random = Random::default();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut list = [1, 2, 3];
            random.shuffle(&mut list);
            seen.insert(list);
        }
        assert_eq!(seen.len(), 6);
    }
}
