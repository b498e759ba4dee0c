// SPDX-License-Identifier: Apache-2.0
//! The pieces of a file that have data; the gaps between them are holes.

use crate::error::Error;

/// Most pieces of a file. A larger map would exceed 1 MiB.
pub const MAX_PIECES: usize = 1 << 16;

/// Pieces `(offset, length)` in ascending order without overlap. The data bytes fill them in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pieces(Vec<(u64, u64)>);

impl Pieces {
    /// The pieces of a file without holes.
    pub fn whole(size: u64) -> Self {
        Self(if size == 0 { Vec::new() } else { vec![(0, size)] })
    }

    /// Offset and length of each piece.
    pub fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Checks order, bounds and that the pieces hold exactly the data.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn checked(pieces: Vec<(u64, u64)>, length: u64, data: u64) -> Result<Self, Error> {
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

/// An error for a malformed sparse map.
pub fn malformed(why: &str) -> Error {
    Error::Malformed(format!("sparse map: {why}"))
}
