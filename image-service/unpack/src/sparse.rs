// SPDX-License-Identifier: Apache-2.0
//! Maps the bytes of a sparse member: the old header map of GNU, and the PAX forms 0.0, 0.1 and 1.0. Bounded.

use crate::error::Error;
use crate::field::{decimal, numeric};
use crate::header::{BLOCK, Format, Header};
use crate::pax;
use crate::pieces::{MAX_PIECES, Pieces, malformed};

/// Size of a piece in an old GNU map: two numbers of twelve bytes.
const PIECE: usize = 24;

/// Most blocks of an old GNU map; each holds up to 21 pieces.
const MAX_BLOCKS: usize = MAX_PIECES / 21 + 1;

/// A file described by PAX records.
pub struct Described {
    pub name: Option<Vec<u8>>,
    pub length: u64,
    pub data: Pieces,
}

/// Reads an old GNU map: four pieces in the header, more in the blocks after it.
///
/// # Errors
/// [`Error::Malformed`], or the error of `next_block`.
pub fn gnu(
    block: &[u8; BLOCK],
    data: u64,
    mut next_block: impl FnMut() -> Result<[u8; BLOCK], Error>,
) -> Result<(u64, Pieces), Error> {
    // The star format has the same type byte but a different layout.
    if Header::decode(block)?.format != Format::Gnu {
        return Err(malformed("not a GNU header"));
    }
    let unsigned = |field: &[u8]| numeric(field).and_then(|n| u64::try_from(n).ok());
    let length = unsigned(&block[483..495]).ok_or_else(|| malformed("bad real size"))?;
    let mut pieces = Vec::new();
    let mut add = |list: &[u8]| -> Result<(), Error> {
        // The first piece without an offset ends the list of its block.
        for piece in list.chunks_exact(PIECE).take_while(|piece| piece[0] != 0) {
            let (offset, length) = piece.split_at(PIECE / 2);
            let read = unsigned(offset).zip(unsigned(length));
            pieces.push(read.ok_or_else(|| malformed("bad piece"))?);
        }
        if pieces.len() > MAX_PIECES { Err(malformed("too many pieces")) } else { Ok(()) }
    };
    add(&block[386..482])?;
    let (mut more, mut blocks) = (block[482] != 0, 0);
    while more {
        blocks += 1;
        if blocks > MAX_BLOCKS {
            return Err(malformed("too many blocks"));
        }
        let block = next_block()?;
        add(&block[..504])?;
        more = block[504] != 0;
    }
    Ok((length, Pieces::checked(pieces, length, data)?))
}

/// Reads the PAX forms; `read` fills a buffer from the member's data, which in form 1.0 begins with the map.
///
/// # Errors
/// [`Error::Malformed`], or the error of `read`.
pub fn pax(
    records: &pax::Sparse,
    data: u64,
    mut read: impl FnMut(&mut [u8]) -> Result<(), Error>,
) -> Result<Described, Error> {
    let said = [&records.size, &records.realsize].into_iter().find(|size| !size.is_empty());
    let length = said.map_or(Some(data), |size| decimal(size)).ok_or_else(|| malformed("bad real size"))?;
    let name = Some(records.name.clone()).filter(|name| !name.is_empty());
    if records.is_map_in_data() {
        let (numbers, used) = map_in_data(data, &mut read)?;
        let data = Pieces::checked(pairs(&numbers)?, length, data - used)?;
        return Ok(Described { name, length, data });
    }
    let list = Some(&records.map).filter(|map| !map.is_empty()).map(|map| map.split(|&b| b == b','));
    let numbers: Option<Vec<u64>> = list.into_iter().flatten().map(decimal).collect();
    let numbers = numbers.ok_or_else(|| malformed("bad number"))?;
    if decimal(&records.numblocks) != Some(numbers.len() as u64 / 2) {
        return Err(malformed("the number of pieces does not match numblocks"));
    }
    Ok(Described { name, length, data: Pieces::checked(pairs(&numbers)?, length, data)? })
}

/// Reads form 1.0: decimal lines (count, then offset and length of each piece) in whole blocks before the data.
fn map_in_data(data: u64, read: &mut impl FnMut(&mut [u8]) -> Result<(), Error>) -> Result<(Vec<u64>, u64), Error> {
    let (mut numbers, mut line, mut wanted, mut used) = (Vec::new(), Vec::new(), None, 0u64);
    while used + 512 <= data {
        let mut block = [0; 512];
        read(&mut block)?;
        used += 512;
        for byte in block {
            if byte != b'\n' {
                line.push(byte);
                if line.len() > 20 {
                    return Err(malformed("bad number"));
                }
                continue;
            }
            let number = decimal(&line).ok_or_else(|| malformed("bad number"))?;
            line.clear();
            match wanted {
                None if number > MAX_PIECES as u64 => return Err(malformed("too many pieces")),
                None => wanted = Some(number as usize * 2),
                Some(_) => numbers.push(number),
            }
            if wanted == Some(numbers.len()) {
                return Ok((numbers, used));
            }
        }
    }
    Err(malformed("the map is truncated"))
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>, Error> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_PIECES {
        return Err(malformed("odd or too many numbers"));
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
