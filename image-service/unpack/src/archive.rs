// SPDX-License-Identifier: Apache-2.0
//! Iterates over the members of a tar stream: ustar, GNU and PAX, with every length bounded.
//!
//! `header.rs` decodes header blocks; the loop over them is here. Both follow Go's `archive/tar`, which builders and other
//! runtimes use: attacks are built on bytes that two programs read differently. Some input that Go accepts but no builder
//! writes is rejected: invalid owners, and an archive that ends after an extended header.

use crate::blocks::Blocks;
use crate::error::{Error, malformed};
use crate::field::text;
use crate::header::{BLOCK, Header};
use crate::member::{Content, Member, Time};
use crate::pieces::Pieces;
use crate::{pax, sparse};
use std::io::Read;

/// A tar stream. [`Archive::next_member`] moves to a member, [`Archive::read_data`] reads its data.
#[derive(Debug)]
pub struct Archive<R> {
    blocks: Blocks<R>,
    /// Whether the first of the two zero blocks at the end was read.
    ending: bool,
    /// The last header block that was read, for fields that are decoded later.
    last: [u8; BLOCK],
}

/// Fields from extended headers, for the member that follows them.
#[derive(Default)]
struct Announced {
    pax: pax::Overrides,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// What the headers of a member describe, besides its size.
struct What {
    kind: u8,
    device: (i64, i64),
    path: Vec<u8>,
    link: Vec<u8>,
}

impl<R: Read> Archive<R> {
    /// Starts at the beginning of a stream.
    pub fn new(reader: R) -> Self {
        Self { blocks: Blocks::new(reader), ending: false, last: [0; BLOCK] }
    }

    /// Returns the stream, positioned after the last member.
    pub fn into_stream(self) -> R {
        self.blocks.into_stream()
    }

    /// Moves to the next member; returns `None` at the end of the archive.
    ///
    /// # Errors
    /// [`Error::Malformed`] for broken headers and unknown member types, otherwise the error of the stream.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let mut announced = Announced::default();
        let mut announcements = 0;
        loop {
            self.blocks.skip()?;
            let Some(header) = self.header()? else {
                return if announcements == 0 { Ok(None) } else { Err(malformed("extended header without a member")) };
            };
            announcements += 1;
            if announcements > 8 {
                return Err(malformed("too many extended headers for one member"));
            }
            match header.kind {
                b'g' => {
                    // Go returns it as a member of its own, so the extended headers before it describe nothing else.
                    pax::parse(&self.small(&header)?)?;
                    (announced, announcements) = (Announced::default(), 0);
                }
                b'x' => announced.pax = pax::parse(&self.small(&header)?)?,
                b'L' => announced.path = Some(text(&self.small(&header)?).to_vec()),
                b'K' => announced.link = Some(text(&self.small(&header)?).to_vec()),
                _ => return self.member(header, announced).map(Some),
            }
        }
    }

    /// Reads data of the current member; returns 0 at its end.
    ///
    /// # Errors
    /// The error of the stream.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.blocks.read_data(buffer)
    }

    fn member(&mut self, header: Header, announced: Announced) -> Result<Member, Error> {
        let pax = announced.pax;
        let given = |name: Option<Vec<u8>>| name.filter(|name| !name.is_empty());
        let path = given(announced.path).or(pax.path).unwrap_or(header.path);
        let link = given(announced.link).or(pax.link).unwrap_or(header.link);
        let id = |over: Option<u64>, own: i64| {
            // 2^32-1 means "no change" to chown, so it is not a valid owner.
            let id = over.map_or_else(|| u32::try_from(own).ok(), |over| u32::try_from(over).ok());
            id.filter(|&id| id != u32::MAX).ok_or_else(|| malformed("owner above 32 bits"))
        };
        let (uid, gid) = (id(pax.uid, header.uid)?, id(pax.gid, header.gid)?);
        let own = |seconds| Time { seconds, nanos: 0 };
        let mtime = pax.mtime.unwrap_or(own(header.mtime));
        let atime = pax.atime.or(header.atime.map(own)).unwrap_or_default().max(mtime).bounded();
        let what = What { kind: header.kind, device: header.device, path, link };
        let size = match pax.size {
            Some(size) => i64::try_from(size).map_err(|_| malformed("size above 63 bits"))?,
            None => header.size,
        };
        let (path, content) = self.content(what, size, &pax.sparse)?;
        let mode = (header.mode & 0o7777) as u32;
        Ok(Member { path, content, mode, uid, gid, atime, mtime: mtime.bounded(), xattrs: pax.xattrs })
    }

    /// Determines what the member is and how much data follows it.
    fn content(&mut self, what: What, size: i64, sparse: &pax::Sparse) -> Result<(Vec<u8>, Content), Error> {
        let What { kind, device, path, link } = what;
        let content = match kind {
            b'S' => {
                self.blocks.expect_data(size)?;
                let (last, physical) = (self.last, self.blocks.left());
                let (length, data) = sparse::gnu(&last, physical, || self.blocks.whole_block())?;
                return Ok((path, Content::File { length, data }));
            }
            // Formats before POSIX mark directories with a trailing slash; type '0' is a file, whatever its name ends with.
            b'\0' if path.ends_with(b"/") => Content::Directory,
            b'\0' | b'0' | b'7' => {
                self.blocks.expect_data(size)?;
                return self.regular(path, sparse);
            }
            // Links, directories and devices have no data, whatever the size field says.
            b'1' if !link.is_empty() => Content::Hardlink { target: link },
            b'2' if !link.is_empty() => Content::Symlink { target: link },
            b'1' | b'2' => return Err(malformed("link without a target")),
            b'3' => node(device).map(|(major, minor)| Content::CharDevice { major, minor })?,
            b'4' => node(device).map(|(major, minor)| Content::BlockDevice { major, minor })?,
            b'5' => Content::Directory,
            b'6' => Content::Fifo,
            other => return Err(malformed(&format!("member type {other:#04x} is unknown"))),
        };
        if sparse.is_sparse() {
            return Err(malformed("a sparse map for a member that is not a file"));
        }
        Ok((path, content))
    }

    fn regular(&mut self, path: Vec<u8>, sparse: &pax::Sparse) -> Result<(Vec<u8>, Content), Error> {
        let size = self.blocks.left();
        if !sparse.is_sparse() {
            return Ok((path, Content::File { length: size, data: Pieces::whole(size) }));
        }
        let found = sparse::pax(sparse, size, |buffer| self.blocks.fill(buffer))?;
        Ok((found.name.unwrap_or(path), Content::File { length: found.length, data: found.data }))
    }

    /// Reads the whole data of an extended header.
    fn small(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        self.blocks.expect_data(header.size)?;
        if self.blocks.left() > pax::MAX {
            return Err(malformed("extended header above 1 MiB"));
        }
        let mut data = vec![0; self.blocks.left() as usize];
        self.blocks.fill(&mut data)?;
        Ok(data)
    }

    /// The next header; `None` after two zero blocks, or if the stream ends before or after the first of them.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        for _ in 0..2 {
            let mut block = [0; BLOCK];
            let more = self.blocks.block(&mut block)?;
            let is_zero = block == [0; BLOCK];
            match (more, self.ending, is_zero) {
                (false, ..) => return Ok(None),
                (_, true, true) => return Ok(None),
                (_, true, false) => return Err(malformed("a member after the zero block that ends the archive")),
                (_, false, true) => self.ending = true,
                (_, false, false) => {
                    self.last = block;
                    return Header::decode(&block).map(Some);
                }
            }
        }
        Ok(None)
    }
}

/// Converts a device number for the kernel.
fn node((major, minor): (i64, i64)) -> Result<(u32, u32), Error> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) => Ok((major, minor)),
        _ => Err(malformed("bad device number")),
    }
}
