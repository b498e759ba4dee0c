// SPDX-License-Identifier: Apache-2.0
//! Reads header blocks (RFC 7541) as far as needed to find the `:authority` fields that are written as literals.
//!
//! A value is rewritten in place and keeps its length in the block. So nothing else in the block moves, and a value
//! that the client adds to its table for later is changed in ours at the same time.
//!
//! The reader's table keeps every entry that the writer's keeps, as long as no rewritten value is longer than the
//! original: an entry that is as long or shorter is evicted at the same time or later. So neither sizes nor evictions
//! have to be tracked here, only which of the last entries are named `:authority`: a later field may refer to one for
//! its name.

use super::huffman;
use http::uri::Authority;

const NAME: &[u8] = b":authority";
/// Entries of the static table; higher numbers refer to those that the client has added, the latest first.
const STATIC: usize = 61;
/// `:authority` in the static table.
const AUTHORITY: usize = 1;
/// The replacement for an invalid authority, as much of it as fits.
const HOST: &[u8] = b"localhost";

/// A block that cannot be read: the server will end the connection with an error.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// The last entries of a connection's table, the latest in the lowest bit: set where the name is `:authority`. A table
/// of 4096 bytes has at most 128 entries, and the server does not allow the client a larger table.
#[derive(Debug, Default)]
pub struct Names(u128);

impl Names {
    fn is_authority(&self, index: usize) -> bool {
        match index.checked_sub(STATIC + 1) {
            None => index == AUTHORITY,
            Some(entry) => entry < 128 && self.0 >> entry & 1 == 1,
        }
    }

    fn insert(&mut self, is_authority: bool) {
        self.0 = self.0 << 1 | u128::from(is_authority);
    }
}

/// Replaces each `:authority` that the server would refuse with a value that it accepts.
///
/// # Errors
/// [`Malformed`], when the rest of the block cannot be decoded.
pub fn mend(block: &mut [u8], names: &mut Names) -> Result<(), Malformed> {
    let mut at = 0;
    while let Some(&first) = block.get(at) {
        let (prefix, keeps) = match first {
            0x80.. => (7, None),
            0x40..0x80 => (6, Some(true)),
            0x20..0x40 => (5, None),
            0..0x20 => (4, Some(false)),
        };
        let index = number(block, &mut at, prefix)?;
        let Some(keeps) = keeps else { continue };
        let is_authority = match index {
            0 => is_name(block, string(block, &mut at)?),
            index => names.is_authority(index),
        };
        let value = string(block, &mut at)?;
        if is_authority {
            mend_value(block, value);
        }
        if keeps {
            names.insert(is_authority);
        }
    }
    Ok(())
}

/// A string in a block: the position of its length, and the range of its bytes.
struct Text {
    head: usize,
    bytes: std::ops::Range<usize>,
}

impl Text {
    const CODED: u8 = 0x80;

    fn is_coded(&self, block: &[u8]) -> bool {
        block[self.head] & Self::CODED != 0
    }

    fn plain(&self, block: &[u8]) -> Option<Vec<u8>> {
        let bytes = &block[self.bytes.clone()];
        if self.is_coded(block) { huffman::decode(bytes) } else { Some(bytes.to_vec()) }
    }
}

fn is_name(block: &[u8], text: Text) -> bool {
    // This holds for either encoding, so longer names need not be inspected.
    text.bytes.len() <= NAME.len() && text.plain(block).is_some_and(|plain| plain == NAME)
}

fn mend_value(block: &mut [u8], text: Text) {
    let Some(plain) = text.plain(block) else { return };
    let room = text.bytes.len();
    // No room for a host, or more than the value had: that takes the Huffman code of rare bytes, which no client uses.
    if plain.is_empty() || room > plain.len() || Authority::try_from(&plain[..]).is_ok() {
        return;
    }
    block[text.head] &= !Text::CODED;
    let host = HOST.iter().copied().chain(std::iter::repeat(b'-'));
    block[text.bytes].iter_mut().zip(host).for_each(|(byte, with)| *byte = with);
}

fn string(block: &[u8], at: &mut usize) -> Result<Text, Malformed> {
    let head = *at;
    let length = number(block, at, 7)?;
    let end = at.checked_add(length).filter(|&end| end <= block.len()).ok_or(Malformed)?;
    Ok(Text { head, bytes: std::mem::replace(at, end)..end })
}

/// Reads a number from the low `prefix` bits of a byte and, when they are all ones, from the bytes that follow.
fn number(block: &[u8], at: &mut usize, prefix: u32) -> Result<usize, Malformed> {
    let mut next = || {
        let byte = block.get(*at).copied().ok_or(Malformed);
        *at += 1;
        byte
    };
    let ones = (1 << prefix) - 1;
    let mut value = usize::from(next()?) & ones;
    if value < ones {
        return Ok(value);
    }
    // Four more bytes hold 28 bits, which exceeds any block.
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A literal field with an indexed name and a plain value.
    fn field(kind: u8, index: u8, value: &[u8]) -> Vec<u8> {
        [&[kind | index, value.len() as u8][..], value].concat()
    }

    fn mended(block: &[u8], names: &mut Names) -> Vec<u8> {
        let mut block = block.to_vec();
        mend(&mut block, names).expect("well-formed");
        block
    }

    #[test]
    fn a_path_becomes_a_host_of_its_length_in_every_form_of_a_field() {
        for (kind, index) in [(0x40, 1), (0x00, 1), (0x10, 1)] {
            let block = field(kind, index, b"/run/gorae/gorae.sock");
            assert_eq!(mended(&block, &mut Names::default()), field(kind, index, b"localhost------------"));
        }
        let named = |value: &[u8]| [&[0x40, 10][..], NAME, &[value.len() as u8], value].concat();
        assert_eq!(mended(&named(b"%2Frun"), &mut Names::default()), named(b"localh"));
    }

    #[test]
    fn a_coded_name_and_a_coded_value_are_read_and_the_value_keeps_its_place() {
        let name = hex::decode("b83b5339ec327d7f").expect("hex");
        for value in ["54586cb6a5458663d832aa2c331ec195741c9d7f", "62cb6a6263d832b131ec195741c9d7"] {
            let value = hex::decode(value).expect("hex");
            let block = [&[0x40, 0x88][..], &name, &[0x80 | value.len() as u8], &value, &[0x82]].concat();
            let host = "localhost-----------";
            let host = &host.as_bytes()[..value.len()];
            let wanted = [&[0x40, 0x88][..], &name, &[value.len() as u8], host, &[0x82]].concat();
            assert_eq!(mended(&block, &mut Names::default()), wanted);
        }
    }

    #[test]
    fn a_value_that_would_grow_stays_as_it_is() {
        // Three slashes fit into at most three bytes; four bytes for one take a code that no client has to use.
        let nul = [0x41, 0x82, 0xff, 0xc7];
        assert_eq!(huffman::decode(&nul[2..]).as_deref(), Some(&[0][..]));
        assert_eq!(mended(&nul, &mut Names::default()), nul);
    }

    #[test]
    fn what_the_server_takes_stays_as_it_is() {
        for value in [&b"localhost"[..], b"[::1]:80", b"user@host:1", b""] {
            let block = field(0x40, 1, value);
            assert_eq!(mended(&block, &mut Names::default()), block);
        }
        // Another field with a path, an index only, a change of the table's size.
        let block = [&field(0x40, 4, b"/run/gorae/gorae.sock")[..], &[0x82, 0xbe, 0x3f, 0x0f]].concat();
        assert_eq!(mended(&block, &mut Names::default()), block);
    }

    #[test]
    fn a_name_that_the_client_has_kept_is_known_again() {
        let mut names = Names::default();
        mended(&field(0x40, 1, b"/a"), &mut names);
        mended(&field(0x40, 4, b"/path"), &mut names);
        // The latest is 62, `:path`; 63 is the authority.
        let kept = |entry: u8, value: &[u8]| [&[0x0f, entry - 15, value.len() as u8][..], value].concat();
        assert_eq!(mended(&kept(63, b"/b"), &mut names), kept(63, b"lo"));
        assert_eq!(mended(&kept(62, b"/b"), &mut names), kept(62, b"/b"));
        (0..126).for_each(|_| names.insert(false));
        assert!(names.is_authority(62 + 127) && !names.is_authority(62 + 126));
        names.insert(false);
        assert!((0..400).all(|index| names.is_authority(index) == (index == AUTHORITY)));
    }

    #[test]
    fn a_block_that_is_cut_or_counts_too_far_is_malformed() {
        let whole = [&field(0x40, 1, b"/run")[..], &field(0x40, 0, b"n"), &[1, b'v']].concat();
        for end in [1, 2, 5, 7, 8, 9, 10] {
            assert_eq!(mend(&mut whole[..end].to_vec(), &mut Names::default()), Err(Malformed), "{end}");
        }
        for endless in [&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &[0x41, 0x7f, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(mend(&mut endless.to_vec(), &mut Names::default()), Err(Malformed));
        }
    }
}
