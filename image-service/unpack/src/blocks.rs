// SPDX-License-Identifier: Apache-2.0
//! A stream in blocks of 512 bytes: header blocks, and a member's data with its padding.

use crate::error::{Error, malformed};
use crate::header::BLOCK;
use crate::stream::failed;
use std::io::Read;

/// A stream of blocks, and how much of the current member is left in it.
#[derive(Debug)]
pub struct Blocks<R> {
    reader: R,
    /// Bytes of the current member's data not yet read.
    data: u64,
    /// Zero bytes behind the data, up to the next block.
    padding: u64,
}

impl<R: Read> Blocks<R> {
    /// Starts at the beginning of a stream.
    pub fn new(reader: R) -> Self {
        Self { reader, data: 0, padding: 0 }
    }

    /// The stream from here on.
    pub fn into_stream(self) -> R {
        self.reader
    }

    /// Bytes of the current member's data not yet read.
    pub fn left(&self) -> u64 {
        self.data
    }

    /// Says that a header has so many bytes of data behind it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a negative number.
    pub fn expect_data(&mut self, size: i64) -> Result<(), Error> {
        let size = u64::try_from(size).map_err(|_| malformed("negative size"))?;
        (self.data, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
        Ok(())
    }

    /// Reads data of the current member; 0 at its end.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the stream ends before, else as the stream fails.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let most = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..most]).map_err(failed)? {
            0 => Err(malformed("the stream ends within a member")),
            n => {
                self.data -= n as u64;
                Ok(n)
            }
        }
    }

    /// Fills a buffer from the member's data.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is less of it, else as the stream fails.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_data(&mut buffer[filled..])? {
                0 => return Err(malformed("a header's data is cut")),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Reads a block; `false` when the stream ends before it.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the stream ends within it, else as the stream fails.
    pub fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]).map_err(failed)? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(malformed("the stream ends within a header")),
                n => filled += n,
            }
        }
        Ok(true)
    }

    /// A block that belongs to the header (the rest of an old sparse map).
    ///
    /// # Errors
    /// [`Error::Malformed`] when the stream ends before its end, else as the stream fails.
    pub fn whole_block(&mut self) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        if self.block(&mut block)? { Ok(block) } else { Err(malformed("the stream ends within a header")) }
    }

    /// Leaves the rest of the current member behind. Padding may be missing where the stream ends, data may not.
    ///
    /// # Errors
    /// [`Error::Malformed`] when data is missing, else as the stream fails.
    pub fn skip(&mut self) -> Result<(), Error> {
        let mut scratch = [0; 16 << 10];
        let mut left = self.data + self.padding;
        while left > 0 {
            let most = scratch.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.reader.read(&mut scratch[..most]).map_err(failed)? {
                0 if left > self.padding => return Err(malformed("the stream ends within a member")),
                0 => break,
                got => left -= got as u64,
            }
        }
        (self.data, self.padding) = (0, 0);
        Ok(())
    }
}
