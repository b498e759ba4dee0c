// SPDX-License-Identifier: Apache-2.0
//! Decodes one header block of a tar stream, field by field as Go's `archive/tar` does. Pure.
//!
//! This is not left to a library: where the formats are ambiguous, builders and other runtimes all follow Go, and attacks
//! are built on bytes that two programs read differently.

use crate::error::Error;
use crate::field::{numeric, octal, text};
use std::ops::Range;

/// Size of a block in bytes: a header is one block, and data is padded to whole blocks.
pub const BLOCK: usize = 512;

const PREFIX: Range<usize> = 345..500;

/// The dialect of a header, from its magic bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Before POSIX: no owner names, device numbers or prefix.
    V7,
    /// POSIX, with or without extended headers.
    Ustar,
    /// The format of Schilling's star.
    Star,
    /// The GNU format.
    Gnu,
}

/// A decoded header. Numbers may be negative, since two of the dialects allow that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub format: Format,
    /// The type byte.
    pub kind: u8,
    /// The path, with the prefix in front.
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub size: i64,
    pub mode: i64,
    pub uid: i64,
    pub gid: i64,
    pub mtime: i64,
    pub atime: Option<i64>,
    /// Major and minor; 0 in a [`Format::V7`] header.
    pub device: (i64, i64),
}

impl Header {
    /// Decodes a block after checking its checksum.
    ///
    /// # Errors
    /// [`Error::Malformed`] that names the field.
    pub fn decode(block: &[u8; BLOCK]) -> Result<Self, Error> {
        let number = |range: Range<usize>, name: &str| {
            numeric(&block[range]).ok_or_else(|| Error::Malformed(format!("bad {name} field")))
        };
        if !has_checksum(block) {
            return Err(Error::Malformed("header checksum does not match".to_owned()));
        }
        let format = format_of(block);
        let mut header = Self {
            format,
            kind: block[156],
            path: text(&block[..100]).to_vec(),
            link: text(&block[157..257]).to_vec(),
            size: number(124..136, "size")?,
            mode: number(100..108, "mode")?,
            uid: number(108..116, "uid")?,
            gid: number(116..124, "gid")?,
            mtime: number(136..148, "mtime")?,
            atime: None,
            device: (0, 0),
        };
        if format != Format::V7 {
            header.device = (number(329..337, "device number")?, number(337..345, "device number")?);
        }
        let prefix = match format {
            Format::V7 => &[][..],
            Format::Ustar => text(&block[PREFIX]),
            Format::Star => {
                header.atime = Some(number(476..488, "atime")?);
                number(488..500, "ctime")?;
                text(&block[345..476])
            }
            Format::Gnu => header.gnu(block),
        };
        if !prefix.is_empty() {
            header.path = [prefix, b"/", &header.path].concat();
        }
        Ok(header)
    }

    /// The GNU header has times where others have a prefix, but old Go programs wrote a prefix there. Fields that are not
    /// times are therefore read as a prefix.
    fn gnu<'b>(&mut self, block: &'b [u8; BLOCK]) -> &'b [u8] {
        let time = |range: Range<usize>| (block[range.start] != 0).then(|| numeric(&block[range]));
        match (time(345..357), time(357..369)) {
            (Some(None), _) | (_, Some(None)) => {
                Some(text(&block[PREFIX])).filter(|p| p.is_ascii()).unwrap_or_default()
            }
            (atime, _) => {
                self.atime = atime.flatten();
                &[]
            }
        }
    }
}

/// Compares the checksum: the sum of all bytes, with the checksum field read as spaces. Some programs sum signed bytes.
fn has_checksum(block: &[u8; BLOCK]) -> bool {
    let byte = |(n, &byte): (usize, &u8)| if (148..156).contains(&n) { b' ' } else { byte };
    let unsigned: i64 = block.iter().enumerate().map(byte).map(i64::from).sum();
    let signed: i64 = block.iter().enumerate().map(byte).map(|b| i64::from(b.cast_signed())).sum();
    octal(&block[148..156]).is_some_and(|sum| sum == unsigned || sum == signed)
}

fn format_of(block: &[u8; BLOCK]) -> Format {
    match (&block[257..263], &block[263..265], &block[508..512]) {
        (b"ustar\0", _, b"tar\0") => Format::Star,
        (b"ustar\0", ..) => Format::Ustar,
        (b"ustar ", b" \0", _) => Format::Gnu,
        _ => Format::V7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(change: impl FnOnce(&mut [u8; BLOCK])) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(b"name");
        block[156] = b'0';
        change(&mut block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    #[test]
    fn a_prefix_counts_in_the_dialects_that_have_one() {
        let with = |magic: &'static [u8], prefix: &'static [u8], trailer: &'static [u8]| {
            let block = block(|b| {
                b[257..257 + magic.len()].copy_from_slice(magic);
                b[345..345 + prefix.len()].copy_from_slice(prefix);
                b[508..508 + trailer.len()].copy_from_slice(trailer);
            });
            Header::decode(&block).map(|header| (header.format, header.path, header.atime))
        };
        let found = |format, path: &[u8], atime| (format, path.to_vec(), atime);
        assert_eq!(with(b"", b"dir", b"").unwrap(), found(Format::V7, b"name", None));
        assert_eq!(with(b"ustar\x0000", b"dir", b"").unwrap(), found(Format::Ustar, b"dir/name", None));
        assert_eq!(with(b"ustar\x0000", b"dir", b"tar\0").unwrap(), found(Format::Star, b"dir/name", Some(0)));
        assert_eq!(with(b"ustar  \0", b"00000000017\0", b"").unwrap(), found(Format::Gnu, b"name", Some(15)));
        assert_eq!(with(b"ustar  \0", b"dir", b"").unwrap(), found(Format::Gnu, b"dir/name", None), "Go before 1.8");
        assert_eq!(with(b"ustar  \0", b"d\xffr", b"").unwrap(), found(Format::Gnu, b"name", None));
    }

    #[test]
    fn a_broken_number_is_an_error_whatever_the_member_is() {
        for (place, name) in [(100, "mode"), (108, "uid"), (116, "gid"), (124, "size"), (136, "mtime"), (329, "device")]
        {
            let block = block(|b| {
                b[257..265].copy_from_slice(b"ustar\x0000");
                b[place..place + 7].copy_from_slice(b"+000001");
            });
            let error = Header::decode(&block).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_checksum_may_be_added_up_with_signs() {
        let mut block = block(|b| b[0] = 0xe9);
        assert!(Header::decode(&block).is_ok());
        let signed: i64 = block.iter().enumerate().fold(0, |sum, (n, &b)| {
            sum + i64::from(if (148..156).contains(&n) { b' '.cast_signed() } else { b.cast_signed() })
        });
        block[148..155].copy_from_slice(format!("{signed:06o}\0").as_bytes());
        assert!(Header::decode(&block).is_ok());
        block[1] ^= 1;
        assert!(Header::decode(&block).is_err());
    }
}
