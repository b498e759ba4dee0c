// SPDX-License-Identifier: Apache-2.0
//! Reads a stream in blocks of 512 bytes: header blocks, and the data of a member with its padding.

use crate::error::{Error, malformed};
use crate::header::BLOCK;
use crate::stream::failed;
use std::io::Read;

/// A stream of blocks, with the number of bytes left of the current member.
#[derive(Debug)]
pub struct Blocks<R> {
    reader: R,
    /// Bytes of the current member's data not yet read.
    data: u64,
    /// Zero bytes after the data, up to the next block.
    padding: u64,
}

impl<R: Read> Blocks<R> {
    /// Starts at the beginning of a stream.
    pub fn new(reader: R) -> Self {
        Self { reader, data: 0, padding: 0 }
    }

    /// Returns the stream at its current position.
    pub fn into_stream(self) -> R {
        self.reader
    }

    /// Bytes of the current member's data not yet read.
    pub fn left(&self) -> u64 {
        self.data
    }

    /// Sets the number of data bytes that follow a header.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a negative size.
    pub fn expect_data(&mut self, size: i64) -> Result<(), Error> {
        let size = u64::try_from(size).map_err(|_| malformed("negative size"))?;
        (self.data, self.padding) = (size, size.next_multiple_of(BLOCK as u64) - size);
        Ok(())
    }

    /// Reads data of the current member; returns 0 at its end.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the stream ends before the member does, otherwise the error of the stream.
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
    /// [`Error::Malformed`] if less data is left, otherwise the error of the stream.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_data(&mut buffer[filled..])? {
                0 => return Err(malformed("a header's data is truncated")),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Reads a block; returns `false` if the stream ends before it.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the stream ends within the block, otherwise the error of the stream.
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

    /// Reads a block that belongs to the header (the rest of an old sparse map).
    ///
    /// # Errors
    /// [`Error::Malformed`] if the stream ends first, otherwise the error of the stream.
    pub fn whole_block(&mut self) -> Result<[u8; BLOCK], Error> {
        let mut block = [0; BLOCK];
        if self.block(&mut block)? { Ok(block) } else { Err(malformed("the stream ends within a header")) }
    }

    /// Skips the rest of the current member. At the end of the stream, padding may be missing but data may not.
    ///
    /// # Errors
    /// [`Error::Malformed`] if data is missing, otherwise the error of the stream.
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
