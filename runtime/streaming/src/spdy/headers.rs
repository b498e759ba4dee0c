// SPDX-License-Identifier: Apache-2.0
//! Header blocks: name and value pairs inside one zlib stream per direction of a connection.
//!
//! Blocks share their compression window in wire order. Skipping a block, even that of a refused stream, makes all
//! later blocks unreadable, so a reader of frames must pass every block through the one [`Inflater`]. Sizes are checked
//! while inflating, because 64 KiB can inflate to 64 MiB.

use super::dictionary;
use super::fault::Fault;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The most bytes that a block may inflate to.
pub const MAX_BLOCK: usize = 64 * 1024;
/// The most pairs in a block.
pub const MAX_PAIRS: usize = 100;
/// The longest name or value, in bytes.
pub const MAX_TEXT: usize = 8 * 1024;

/// The pairs of one block, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Finds the value of a header; `None` when it is missing or not UTF-8.
    ///
    /// - Shapes: `name` is in lower case; names that clients send in mixed case are lowered when they are read.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Parses an inflated block.
    ///
    /// # Errors
    /// [`Fault::Headers`] when lengths do not add up, [`Fault::TooLarge`] above the limits of this module.
    pub fn parse(mut block: &[u8]) -> Result<Self, Fault> {
        let count = word(&mut block)?;
        if count > MAX_PAIRS {
            return Err(Fault::TooLarge("more than 100 headers"));
        }
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = text(&mut block)?.to_ascii_lowercase();
            let value = text(&mut block)?.to_vec();
            pairs.push((String::from_utf8_lossy(&name).into_owned(), value));
        }
        if block.is_empty() { Ok(Self(pairs)) } else { Err(Fault::Headers("bytes after the last header")) }
    }
}

fn word(block: &mut &[u8]) -> Result<usize, Fault> {
    let (front, rest) = block.split_first_chunk::<4>().ok_or(Fault::Headers("ends inside a length"))?;
    *block = rest;
    Ok(u32::from_be_bytes(*front) as usize)
}

fn text<'b>(block: &mut &'b [u8]) -> Result<&'b [u8], Fault> {
    let length = word(block)?;
    if length > MAX_TEXT {
        return Err(Fault::TooLarge("a name or value over 8 KiB"));
    }
    let (front, rest) = block.split_at_checked(length).ok_or(Fault::Headers("ends inside a name or value"))?;
    *block = rest;
    Ok(front)
}

/// The receiving end of a direction's zlib stream. Its window is allocated with the first block.
#[derive(Debug, Default)]
pub struct Inflater {
    zlib: Option<Decompress>,
}

impl Inflater {
    /// Makes an inflater at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inflates and parses the next block in wire order.
    ///
    /// # Errors
    /// Any error makes the rest of the stream unreadable: the connection must end.
    pub fn headers(&mut self, block: &[u8]) -> Result<Headers, Fault> {
        Headers::parse(&self.inflate(block)?)
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Vec<u8>, Fault> {
        let zlib = self.zlib.get_or_insert_with(|| Decompress::new(true));
        let mut out = Vec::with_capacity(512);
        let mut used = 0;
        loop {
            if out.len() == out.capacity() {
                if out.len() >= MAX_BLOCK {
                    return Err(Fault::TooLarge("inflates to more than 64 KiB"));
                }
                out.reserve_exact(out.len().max(512).min(MAX_BLOCK - out.len()));
            }
            let (before_in, before_out) = (zlib.total_in(), out.len());
            let result = zlib.decompress_vec(&block[used..], &mut out, FlushDecompress::Sync);
            used += (zlib.total_in() - before_in) as usize;
            match result {
                Ok(Status::StreamEnd) => return Err(Fault::Inflate("the stream has ended".into())),
                Ok(_) if used == block.len() && out.len() < out.capacity() => return Ok(out),
                Ok(_) if used < block.len() && out.len() == before_out && out.len() < out.capacity() => {
                    return Err(Fault::Inflate("no progress".into()));
                }
                Ok(_) => {}
                Err(error) => match error.needs_dictionary() {
                    Some(dictionary::ADLER32) => {
                        zlib.set_dictionary(&dictionary::BYTES).map_err(|e| Fault::Inflate(e.to_string()))?;
                    }
                    Some(id) => return Err(Fault::Inflate(format!("unknown dictionary {id:08x}"))),
                    None => return Err(Fault::Inflate(error.to_string())),
                },
            }
        }
    }
}

/// The sending end of a direction's zlib stream, as a client needs it.
#[derive(Debug)]
pub struct Deflater {
    zlib: Compress,
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflater {
    /// Makes a deflater at the start of a connection.
    pub fn new() -> Self {
        let mut zlib = Compress::new(Compression::best(), true);
        zlib.set_dictionary(&dictionary::BYTES).expect("a fresh deflater takes a dictionary");
        Self { zlib }
    }

    /// Compresses a block. Blocks must reach the wire in the order of these calls.
    pub fn block(&mut self, pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut plain = (pairs.len() as u32).to_be_bytes().to_vec();
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        self.deflate(&plain)
    }

    /// Compresses raw bytes as a block, for tests that send malformed blocks.
    pub fn deflate(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + 128);
        let mut used = 0;
        loop {
            let before = self.zlib.total_in();
            let done = self.zlib.compress_vec(&plain[used..], &mut out, FlushCompress::Sync);
            used += (self.zlib.total_in() - before) as usize;
            if done.is_err() || (used == plain.len() && out.len() < out.capacity()) {
                return out;
            }
            out.reserve(4096);
        }
    }
}

/// The blocks of our SYN_REPLY frames, which carry no headers.
///
/// A compressor would produce the same two byte strings for every connection, so we do not run one: the first block
/// opens the zlib stream, and the others repeat four zero bytes from its window.
#[derive(Debug, Default)]
pub struct EmptyBlocks {
    opened: bool,
}

impl EmptyBlocks {
    /// Returns the next block in wire order.
    pub fn advance(&mut self) -> &'static [u8] {
        if std::mem::replace(&mut self.opened, true) {
            &[0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff]
        } else {
            &[0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x02, 0xa6, 0x23, 0x06, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_of_the_reference_compressor_inflate_and_ours_equal_them() {
        let first = hex::decode("78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff").unwrap();
        let second = hex::decode("c22305000000ffff").unwrap();
        let mut inflater = Inflater::new();
        for block in [&first, &second] {
            assert_eq!(inflater.headers(block).unwrap().get("streamtype"), Some("error"));
        }
        let mut deflater = Deflater::new();
        for _ in 0..3 {
            let block = deflater.block(&[("streamtype", "error"), ("port", "80")]);
            assert!(block.ends_with(&[0, 0, 0xff, 0xff]));
        }
    }

    #[test]
    fn empty_blocks_stay_readable_however_many_follow() {
        let (mut inflater, mut blocks) = (Inflater::new(), EmptyBlocks::default());
        for _ in 0..20_000 {
            assert_eq!(inflater.headers(blocks.advance()).unwrap(), Headers::default());
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        let block = Deflater::new().block(&[("StreamType", "stdin"), ("requestID", "4")]);
        let headers = Inflater::new().headers(&block).unwrap();
        assert_eq!((headers.get("streamtype"), headers.get("requestid")), (Some("stdin"), Some("4")));
    }

    #[test]
    fn a_stream_without_a_dictionary_is_read_and_one_with_another_is_not() {
        let mut plain = Compress::new(Compression::fast(), true);
        let mut out = Vec::with_capacity(64);
        plain.compress_vec(&[0, 0, 0, 0], &mut out, FlushCompress::Sync).unwrap();
        assert_eq!(Inflater::new().headers(&out), Ok(Headers::default()));
        let wrong = hex::decode("78f9e3c6a7c302a6230600000000ffff").unwrap();
        assert!(matches!(Inflater::new().headers(&wrong), Err(Fault::Inflate(_))));
    }

    #[test]
    fn a_bomb_is_stopped_while_it_inflates() {
        let bomb = Deflater::new().deflate(&vec![0; 64 << 20]);
        assert!(bomb.len() <= 68 * 1024);
        assert!(matches!(Inflater::new().headers(&bomb), Err(Fault::TooLarge(_))));
    }

    #[test]
    fn counts_and_lengths_beyond_the_limits_are_refused() {
        let block = |plain: &[u8]| Inflater::new().headers(&Deflater::new().deflate(plain));
        assert!(matches!(block(&[0xff; 4]), Err(Fault::TooLarge(_))));
        assert!(matches!(block(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]), Err(Fault::TooLarge(_))));
        assert!(matches!(block(&[0, 0, 0, 1, 0, 0, 0, 9, b'a']), Err(Fault::Headers(_))));
        assert!(matches!(block(&[0, 0, 0, 0, 1]), Err(Fault::Headers(_))));
        assert!(matches!(block(&[0, 0]), Err(Fault::Headers(_))));
    }

    #[test]
    fn garbage_and_a_finished_stream_are_refused() {
        assert!(matches!(Inflater::new().headers(b"no zlib at all"), Err(Fault::Inflate(_))));
        let mut zlib = Compress::new(Compression::fast(), true);
        let mut out = Vec::with_capacity(64);
        zlib.compress_vec(&[0, 0, 0, 0], &mut out, FlushCompress::Finish).unwrap();
        assert!(matches!(Inflater::new().headers(&out), Err(Fault::Inflate(_))));
    }

    #[test]
    fn an_empty_block_is_malformed() {
        assert!(Inflater::new().headers(&[]).is_err());
    }
}
