// SPDX-License-Identifier: Apache-2.0
//! The members of a tar stream, one after the other: ustar, GNU and PAX, with every length bounded.
//!
//! Headers are decoded by the `tar` crate; the loop over them is ours because that crate reads long names and extended
//! headers into memory whatever their size. Where formats are ambiguous this follows Go's `archive/tar`, which the
//! builders and the other runtimes use: a second opinion about the same bytes is what attacks are made of.

use std::io::Read;

use tar::{EntryType, Header};

use super::{Error, pax, sparse, stream_error};

const BLOCK: u64 = 512;

/// A point in time as the kernel takes it: `nanos` is 0 to 999,999,999 also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    pub seconds: i64,
    pub nanos: i64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Directory,
    /// `data` says where the member's bytes go in a file of `length`.
    File {
        length: u64,
        data: sparse::Map,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name for a member that came before.
    Hardlink {
        target: Vec<u8>,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// One member without its data.
#[derive(Debug, Clone)]
pub struct Member {
    /// As in the archive: anything at all.
    pub path: Vec<u8>,
    pub content: Content,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A tar stream. [`Archive::next_member`] moves to a member, [`Archive::read_data`] reads its data.
#[derive(Debug)]
pub struct Archive<R> {
    reader: R,
    /// Bytes of the current member's data not yet read.
    data: u64,
    /// Zero bytes behind the data, up to the next block.
    padding: u64,
}

/// What came in headers before the member that they describe.
#[derive(Default)]
struct Announced {
    pax: pax::Overrides,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Archive<R> {
    /// Starts at the beginning of a stream.
    pub fn new(reader: R) -> Self {
        Self { reader, data: 0, padding: 0 }
    }

    /// The stream behind the last member.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Moves to the next member; `None` at the end of the archive.
    ///
    /// - Errors: [`Error::Malformed`] for broken headers and unknown member types, else as the stream fails.
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let mut announced = Announced::default();
        let mut announcements = 0;
        loop {
            self.skip(self.data + self.padding)?;
            (self.data, self.padding) = (0, 0);
            let Some(header) = self.header()? else {
                return if announcements == 0 { Ok(None) } else { Err(malformed("extended header without a member")) };
            };
            let size = field(&header.as_old().size, header.entry_size(), "size")?;
            announcements += 1;
            if announcements > 8 {
                return Err(malformed("too many extended headers for one member"));
            }
            match header.entry_type() {
                EntryType::XGlobalHeader => self.expect_data(size)?,
                EntryType::XHeader => announced.pax = pax::parse(&self.small(size)?)?,
                EntryType::GNULongName => announced.path = Some(without_nul(self.small(size)?)),
                EntryType::GNULongLink => announced.link = Some(without_nul(self.small(size)?)),
                _ => return self.member(&header, size, announced).map(Some),
            }
        }
    }

    /// Reads data of the current member; 0 at its end.
    ///
    /// - Errors: as the stream fails.
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let most = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..most]).map_err(stream_error)? {
            0 => Err(malformed("the stream ends within a member")),
            n => {
                self.data -= n as u64;
                Ok(n)
            }
        }
    }

    fn member(&mut self, header: &Header, size: u64, announced: Announced) -> Result<Member, Error> {
        let pax = announced.pax;
        let path = pax.path.or(announced.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax.link.or(announced.link).or_else(|| header.link_name_bytes().map(|l| l.into_owned()));
        let old = header.as_old();
        let id = |over: Option<u64>, own: Result<u64, Error>| {
            // 2^32-1 means "no change" to chown, so it cannot be an owner.
            let id = u32::try_from(over.map_or(own, Ok)?).ok().filter(|&id| id != u32::MAX);
            id.ok_or_else(|| malformed("owner above 32 bits"))
        };
        let uid = id(pax.uid, field(&old.uid, header.uid(), "uid"))?;
        let gid = id(pax.gid, field(&old.gid, header.gid(), "gid"))?;
        let mode = field(&old.mode, header.mode().map(u64::from), "mode")? as u32 & 0o7777;
        let mtime = pax.mtime.unwrap_or_else(|| Time {
            seconds: header.mtime().ok().and_then(|s| i64::try_from(s).ok()).unwrap_or(0),
            nanos: 0,
        });
        let size = pax.size.unwrap_or(size);
        let (path, content) = self.content(header, size, path, link, &pax.sparse)?;
        Ok(Member { path, content, mode, uid, gid, mtime, xattrs: pax.xattrs })
    }

    /// Tells what the member is and how much data follows it.
    fn content(
        &mut self,
        header: &Header,
        size: u64,
        path: Vec<u8>,
        link: Option<Vec<u8>>,
        pax_sparse: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(Vec<u8>, Content), Error> {
        let target = || link.filter(|l| !l.is_empty()).ok_or_else(|| malformed("link without a target"));
        let device = || {
            let number =
                |n: std::io::Result<Option<u32>>| n.ok().flatten().ok_or_else(|| malformed("bad device number"));
            Ok((number(header.device_major())?, number(header.device_minor())?))
        };
        // Links, directories and devices have no data, whatever their size field says.
        let content = match header.entry_type() {
            EntryType::Directory => Content::Directory,
            EntryType::Symlink => Content::Symlink { target: target()? },
            EntryType::Link => Content::Hardlink { target: target()? },
            EntryType::Char => device().map(|(major, minor)| Content::CharDevice { major, minor })?,
            EntryType::Block => device().map(|(major, minor)| Content::BlockDevice { major, minor })?,
            EntryType::Fifo => Content::Fifo,
            EntryType::GNUSparse => {
                self.expect_data(size)?;
                let (length, data) = sparse::gnu(header, size, || self.raw_block())?;
                return Ok((path, Content::File { length, data }));
            }
            EntryType::Regular | EntryType::Continuous => {
                self.expect_data(size)?;
                return self.regular(size, path, pax_sparse);
            }
            other => return Err(malformed(&format!("member type {:#04x} is unknown", other.as_byte()))),
        };
        Ok((path, content))
    }

    fn regular(
        &mut self,
        size: u64,
        path: Vec<u8>,
        sparse: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(Vec<u8>, Content), Error> {
        if path.ends_with(b"/") {
            // Archives older than POSIX mark directories in this way only.
            return Ok((path, Content::Directory));
        }
        if sparse.is_empty() {
            return Ok((path, Content::File { length: size, data: sparse::Map::whole(size) }));
        }
        let found = sparse::pax(sparse, size, |buffer| {
            let mut filled = 0;
            while filled < buffer.len() {
                match self.read_data(&mut buffer[filled..])? {
                    0 => return Err(malformed("sparse map is cut")),
                    n => filled += n,
                }
            }
            Ok(())
        })?;
        Ok((found.name.unwrap_or(path), Content::File { length: found.length, data: found.data }))
    }

    fn expect_data(&mut self, size: u64) -> Result<(), Error> {
        let padded = size.checked_next_multiple_of(BLOCK).ok_or_else(|| malformed("size field above 64 bits"))?;
        (self.data, self.padding) = (size, padded - size);
        Ok(())
    }

    /// The whole data of an extended header.
    fn small(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        if size > pax::MAX {
            return Err(malformed("extended header above 1 MiB"));
        }
        self.expect_data(size)?;
        let mut data = vec![0; size as usize];
        let mut filled = 0;
        while filled < data.len() {
            filled += self.read_data(&mut data[filled..])?;
        }
        Ok(data)
    }

    /// The next header; `None` at the two zero blocks, or where the stream just ends.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|&b| b == 0) {
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum = bytes[..148].iter().chain(&bytes[156..]).map(|&b| u32::from(b)).sum::<u32>() + 8 * u32::from(b' ');
        if header.cksum().map_err(|_| malformed("bad header checksum field"))? != sum {
            return Err(malformed("header checksum does not match"));
        }
        Ok(Some(header))
    }

    /// A block that belongs to the header (the rest of an old sparse map).
    fn raw_block(&mut self) -> Result<[u8; BLOCK as usize], Error> {
        let mut block = [0; BLOCK as usize];
        if self.block(&mut block)? { Ok(block) } else { Err(malformed("the stream ends within a header")) }
    }

    fn block(&mut self, block: &mut [u8; BLOCK as usize]) -> Result<bool, Error> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]).map_err(stream_error)? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(malformed("the stream ends within a header")),
                n => filled += n,
            }
        }
        Ok(true)
    }

    fn skip(&mut self, mut n: u64) -> Result<(), Error> {
        let mut scratch = [0; 16 << 10];
        while n > 0 {
            let most = scratch.len().min(usize::try_from(n).unwrap_or(usize::MAX));
            match self.reader.read(&mut scratch[..most]).map_err(stream_error)? {
                0 => return Err(malformed("the stream ends within a member")),
                got => n -= got as u64,
            }
        }
        Ok(())
    }
}

/// A numeric field; an empty one is 0, as Go reads it.
fn field(raw: &[u8], parsed: std::io::Result<u64>, name: &str) -> Result<u64, Error> {
    match parsed {
        Ok(number) => Ok(number),
        Err(_) if raw.iter().all(|b| matches!(b, 0 | b' ')) => Ok(0),
        Err(_) => Err(malformed(&format!("bad {name} field"))),
    }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|&b| b == 0) {
        name.truncate(end);
    }
    name
}

fn malformed(why: &str) -> Error {
    Error::Malformed(why.to_owned())
}
