// SPDX-License-Identifier: Apache-2.0
//! Writes one regular file from an archive.

use crate::archive::Archive;
use crate::error::Error;
use crate::member::{Content, Member};
use crate::meta;
use crate::refusal::Refusal;
use crate::tree::Tree;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::OwnedFd;

impl Tree {
    /// Creates a file in place of any existing entry of that name, and reads its data from `archive`.
    ///
    /// # Errors
    /// See [`Tree::place`].
    pub fn place_file<R: Read>(
        &mut self,
        member: &Member,
        at: &OwnedFd,
        name: &[u8],
        archive: &mut Archive<R>,
    ) -> Result<(), Error> {
        let Content::File { length, data } = &member.content else { return Ok(()) };
        self.bounds.count_length(*length)?;
        let create = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o600))
        };
        let file = match create() {
            Err(Errno::EXIST) => self.remove(at, name).and_then(|()| create()),
            other => other,
        };
        let file = file.map_err(|errno| member.failed(errno))?;
        self.bounds.count_file(data.as_slice());
        for &(offset, len) in data.as_slice() {
            self.copy(archive, &file, (offset, len), member)?;
        }
        let ends_in_hole = data.as_slice().last().map_or(0, |(offset, len)| offset + len) < *length;
        let done = if ends_in_hole { rustix::fs::ftruncate(&file, *length) } else { Ok(()) };
        let applied = done.map_err(Refusal::from).and_then(|()| meta::apply(&file, member));
        applied.map_err(|refusal| member.failed(refusal))
    }

    /// Copies a piece of the member's data, `(offset, length)`, to its position in the file.
    fn copy<R: Read>(
        &mut self,
        archive: &mut Archive<R>,
        file: &OwnedFd,
        (offset, len): (u64, u64),
        member: &Member,
    ) -> Result<(), Error> {
        let (root, mut buffer) = (self.root(), [0; 64 << 10]);
        let mut done = 0;
        while done < len {
            let most = buffer.len().min(usize::try_from(len - done).unwrap_or(usize::MAX));
            let n = archive.read_data(&mut buffer[..most])?;
            if n == 0 {
                return Err(member.refused("its data is shorter than its map"));
            }
            write(file, &buffer[..n], offset + done).map_err(|errno| member.failed(errno))?;
            self.bounds.count_written(n as u64, &root.handle)?;
            done += n as u64;
        }
        Ok(())
    }
}

fn write(file: &OwnedFd, mut data: &[u8], mut at: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::pwrite(file, data, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => {
                at += n as u64;
                data = &data[n..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
