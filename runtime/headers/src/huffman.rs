// SPDX-License-Identifier: Apache-2.0
//! Decodes the Huffman code of header strings (RFC 7541, appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers in the order of their symbols, and follow the
//! shorter ones. So the lengths define the whole code.

/// Length of each symbol's code in bits. The end-of-string code, 30 ones, is left out: it must not occur in a string.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26,
];

/// The longest code.
const LONGEST: usize = 30;

/// How many symbols have codes of each length.
const COUNTS: [u16; LONGEST + 1] = {
    let (mut counts, mut symbol) = ([0; LONGEST + 1], 0);
    while symbol < LENGTHS.len() {
        counts[LENGTHS[symbol] as usize] += 1;
        symbol += 1;
    }
    counts
};

/// The symbols in the order of their codes.
const SYMBOLS: [u8; 256] = {
    let (mut symbols, mut next, mut length) = ([0; 256], 0, 0);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                symbols[next] = symbol as u8;
                next += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// Decodes a string; `None` when it is not valid.
pub fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(coded.len() * 8 / 5);
    let mut code = Code::default();
    for byte in coded {
        for bit in (0..8).rev() {
            if let Some(symbol) = code.push(byte >> bit & 1)? {
                plain.push(symbol);
                code = Code::default();
            }
        }
    }
    code.is_padding().then_some(plain)
}

/// The bits of a code so far.
#[derive(Default)]
struct Code {
    bits: u32,
    length: usize,
    /// The first code of this length.
    first: u32,
    /// Symbols with shorter codes.
    shorter: u32,
}

impl Code {
    /// Takes one more bit; returns the symbol if that completes it, or `None` if no such code exists.
    fn push(&mut self, bit: u8) -> Option<Option<u8>> {
        self.shorter += u32::from(COUNTS[self.length]);
        self.first = (self.first + u32::from(COUNTS[self.length])) << 1;
        self.bits = self.bits << 1 | u32::from(bit);
        self.length += 1;
        if self.length > LONGEST {
            return None;
        }
        let at = self.bits.wrapping_sub(self.first);
        let complete = at < u32::from(COUNTS[self.length]);
        Some(complete.then(|| SYMBOLS[(self.shorter + at) as usize]))
    }

    /// Whether the bits are valid padding of the last byte: fewer than eight, all ones.
    fn is_padding(&self) -> bool {
        self.length < 8 && self.bits + 1 == 1 << self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        for (coded, plain) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("", ""),
        ] {
            assert_eq!(decode(&hex::decode(coded).expect("hex")).as_deref(), Some(plain.as_bytes()), "{coded}");
        }
    }

    #[test]
    fn what_no_string_is_coded_as_is_refused() {
        // Padding of zeros, padding of a whole byte, and the end-of-string code inside a string.
        for coded in [&[0x18][..], &[0x1f, 0xff], &[0xff; 4], &[0xff; 64]] {
            assert_eq!(decode(coded), None, "{coded:x?}");
        }
    }
}
