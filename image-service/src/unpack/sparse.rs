// SPDX-License-Identifier: Apache-2.0
//! Where the bytes of a sparse member go: GNU's old header map and the PAX forms 0.0, 0.1 and 1.0. Bounded.

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::{Error, pax};

/// Most pieces of one file; a map this long is above 1 MiB.
const MAX_PIECES: usize = 1 << 16;

/// Most blocks of an old GNU map; one holds 21 pieces, or none.
const MAX_BLOCKS: usize = MAX_PIECES / 21 + 1;

/// Pieces `(offset, length)` in ascending order, none overlapping. Data bytes fill them one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Map(Vec<(u64, u64)>);

impl Map {
    /// A file without holes.
    pub fn whole(size: u64) -> Self {
        Self(if size == 0 { Vec::new() } else { vec![(0, size)] })
    }

    /// The pieces.
    pub fn pieces(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Checks order, bounds and that the data is exactly what the pieces hold.
    fn checked(pieces: Vec<(u64, u64)>, length: u64, data: u64) -> Result<Self, Error> {
        let (mut end, mut sum) = (0u64, 0u64);
        for &(offset, len) in &pieces {
            let piece_end = offset.checked_add(len).filter(|&e| e <= length && offset >= end);
            end = piece_end.ok_or_else(|| malformed("pieces overlap or leave the file"))?;
            sum += len;
        }
        if sum != data {
            return Err(malformed("pieces do not add up to the data"));
        }
        Ok(Self(pieces.into_iter().filter(|&(_, len)| len > 0).collect()))
    }
}

/// A file described by PAX records.
pub struct Described {
    pub name: Option<Vec<u8>>,
    pub length: u64,
    pub data: Map,
}

/// Reads an old GNU map: four pieces in the header, more in blocks behind it.
///
/// - Errors: [`Error::Malformed`], or what `next_block` returns.
pub fn gnu(
    header: &Header,
    data: u64,
    mut next_block: impl FnMut() -> Result<[u8; 512], Error>,
) -> Result<(u64, Map), Error> {
    let gnu = header.as_gnu().ok_or_else(|| malformed("no GNU header"))?;
    let length = gnu.real_size().map_err(|_| malformed("bad real size"))?;
    let mut pieces = Vec::new();
    let mut add = |list: &[GnuSparseHeader]| -> Result<(), Error> {
        for piece in list.iter().filter(|p| !p.is_empty()) {
            let bad = |_| malformed("bad piece");
            pieces.push((piece.offset().map_err(bad)?, piece.length().map_err(bad)?));
        }
        if pieces.len() > MAX_PIECES { Err(malformed("too many pieces")) } else { Ok(()) }
    };
    add(&gnu.sparse)?;
    let (mut more, mut blocks) = (gnu.is_extended(), 0);
    while more {
        blocks += 1;
        if blocks > MAX_BLOCKS {
            return Err(malformed("too many blocks"));
        }
        let mut ext = GnuExtSparseHeader::new();
        ext.as_mut_bytes().copy_from_slice(&next_block()?);
        add(&ext.sparse)?;
        more = ext.is_extended();
    }
    Ok((length, Map::checked(pieces, length, data)?))
}

/// Reads the PAX forms; `read` fills a buffer from the member's data, which in form 1.0 begins with the map.
///
/// - Errors: [`Error::Malformed`], or what `read` returns.
pub fn pax(
    records: &[(Vec<u8>, Vec<u8>)],
    data: u64,
    mut read: impl FnMut(&mut [u8]) -> Result<(), Error>,
) -> Result<Described, Error> {
    let last = |key: &[u8]| records.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_slice());
    let length = last(b"realsize").or_else(|| last(b"size")).and_then(pax::number);
    let length = length.ok_or_else(|| malformed("no real size"))?;
    let name = last(b"name").map(<[u8]>::to_vec);
    let numbers = match (last(b"major"), last(b"map")) {
        (Some(b"1"), _) => {
            let (numbers, used) = map_in_data(data, &mut read)?;
            let data = Map::checked(pairs(&numbers)?, length, data - used)?;
            return Ok(Described { name, length, data });
        }
        (_, Some(list)) => list.split(|&b| b == b',').map(pax::number).collect::<Option<Vec<_>>>(),
        (_, None) => {
            records.iter().filter(|(k, _)| k == b"offset" || k == b"numbytes").map(|(_, v)| pax::number(v)).collect()
        }
    };
    let numbers = numbers.ok_or_else(|| malformed("bad number"))?;
    Ok(Described { name, length, data: Map::checked(pairs(&numbers)?, length, data)? })
}

/// Form 1.0: decimal lines (count, then offset and length of each piece) in whole blocks before the data.
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
            let number = pax::number(&line).ok_or_else(|| malformed("bad number"))?;
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
    Err(malformed("map is cut"))
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>, Error> {
    if !numbers.len().is_multiple_of(2) || numbers.len() / 2 > MAX_PIECES {
        return Err(malformed("odd or too many numbers"));
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

fn malformed(why: &str) -> Error {
    Error::Malformed(format!("sparse map: {why}"))
}
