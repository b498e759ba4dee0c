// SPDX-License-Identifier: Apache-2.0
//! One tar member → one name in the layer directory.
//!
//! A later member of the same name replaces an earlier one; a directory over a directory keeps its content. Whiteouts
//! (`.wh.NAME`) become character devices 0:0 and opaque marks (`.wh..wh..opq`) the overlay attribute; both speak about
//! lower layers only, never about members of the same archive (OCI image-spec layer.md, "Whiteouts").

use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Error;
use super::archive::{Archive, Content, Member};
use super::meta::{self, Refusal, Times};
use super::tree::{self, Directory, Tree, shown};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other `.wh..wh.` names are bookkeeping of aufs.
const AUFS: &[u8] = b".wh..wh.";
/// The longest symlink target that file systems take.
const MAX_TARGET: usize = 4095;

impl Tree {
    /// Places a member; the data of a file is read from `archive`.
    ///
    /// - Errors: [`Error::Member`] for what is refused, [`Error::Place`] for what the kernel refuses, [`Error::Limit`].
    pub fn place<R: Read>(&mut self, member: &Member, archive: &mut Archive<R>) -> Result<(), Error> {
        self.count_member()?;
        let path = self.components(&member.path)?;
        let Some((&name, parent)) = path.split_last() else { return self.place_root(member) };
        let directory = self.parent(parent).map_err(|errno| failed(member, errno))?;
        self.check_remembered()?;
        let at = &directory.handle;
        if name == OPAQUE {
            return meta::set_opaque(at).map_err(|errno| failed(member, errno));
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.place_whiteout(member, &directory, hidden);
        }
        match &member.content {
            Content::Directory => self.place_directory(member, &directory, name),
            Content::File { .. } => self.place_file(member, at, name, archive),
            Content::Hardlink { target } => self.place_hardlink(member, at, name, target),
            Content::Symlink { target } => self.place_symlink(member, at, name, target),
            Content::CharDevice { major, minor } => {
                self.place_node(member, at, name, FileType::CharacterDevice, (*major, *minor))
            }
            Content::BlockDevice { major, minor } => {
                self.place_node(member, at, name, FileType::BlockDevice, (*major, *minor))
            }
            Content::Fifo => self.place_node(member, at, name, FileType::Fifo, (0, 0)),
        }
    }

    /// `./` describes the root itself.
    fn place_root(&mut self, member: &Member) -> Result<(), Error> {
        if member.content != Content::Directory {
            return Err(refused(member, "the layer's root can only be a directory"));
        }
        meta::apply(&self.root().handle, member).map_err(|refusal| failed(member, refusal))?;
        self.describe(Vec::new(), Times::of(member))
    }

    fn place_directory(&mut self, member: &Member, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        let at = &directory.handle;
        let mut place = || -> Result<(), Refusal> {
            let handle = match tree::status(at, name)? {
                Some(found) if tree::is_directory(&found) => tree::open_beneath(at, name)?,
                Some(found) => {
                    self.remove(at, name)?;
                    let made = self.make(at, name)?;
                    if tree::is_whiteout(&found) {
                        meta::set_opaque(&made)?;
                    }
                    made
                }
                None => self.make(at, name)?,
            };
            meta::apply(&handle, member)
        };
        place().map_err(|refusal| failed(member, refusal))?;
        self.describe(directory.path_of(name), Times::of(member))
    }

    fn place_file<R: Read>(
        &mut self,
        member: &Member,
        at: &OwnedFd,
        name: &[u8],
        archive: &mut Archive<R>,
    ) -> Result<(), Error> {
        let Content::File { length, data } = &member.content else { return Ok(()) };
        self.count_length(*length)?;
        let create = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o600))
        };
        let file = match create() {
            Err(Errno::EXIST) => self.remove(at, name).and_then(|()| create()),
            other => other,
        };
        let file = file.map_err(|errno| failed(member, errno))?;
        self.count_file(data.pieces());
        for &(offset, len) in data.pieces() {
            self.copy(archive, &file, (offset, len), member)?;
        }
        let ends_in_hole = data.pieces().last().map_or(0, |(offset, len)| offset + len) < *length;
        let done = if ends_in_hole { rustix::fs::ftruncate(&file, *length) } else { Ok(()) };
        let applied = done.map_err(Refusal::from).and_then(|()| meta::apply(&file, member));
        applied.map_err(|refusal| failed(member, refusal))
    }

    fn place_hardlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let target = self.components(target)?;
        let Some((&target_name, target_parent)) = target.split_last() else {
            return Err(refused(member, "a hard link to the layer's root"));
        };
        let absent = || {
            let path = shown(&target.join(&b'/'));
            let why = format!(
                "a hard link to {path:?}, which is not in this layer: a file of a lower one cannot be linked to. Build the \
                 image again so that the layer brings the file itself"
            );
            refused(member, &why)
        };
        let target_at = match self.existing(target_parent) {
            Err(Errno::NOENT) => return Err(absent()),
            other => other.map_err(|errno| failed(member, errno))?,
        };
        let status = |at: &OwnedFd, name| tree::status(at, name).map_err(|errno| failed(member, errno));
        let found = status(&target_at.handle, target_name)?.ok_or_else(absent)?;
        if tree::is_directory(&found) {
            return Err(refused(member, "a hard link to a directory"));
        }
        if let Some(present) = status(at, name)? {
            if (present.st_dev, present.st_ino) == (found.st_dev, found.st_ino) {
                return Ok(());
            }
            self.remove(at, name).map_err(|errno| failed(member, errno))?;
        }
        rustix::fs::linkat(&target_at.handle, target_name, at, name, AtFlags::empty())
            .map_err(|errno| failed(member, errno))
    }

    fn place_symlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        if target.len() > MAX_TARGET || target.contains(&0) {
            return Err(refused(member, "its link target is no path"));
        }
        // The target is only a text here; who follows it does so inside the container.
        let mut place = || -> Result<(), Refusal> {
            self.remove(at, name)?;
            rustix::fs::symlinkat(target, at, name)?;
            self.count_inode(0);
            meta::apply_at(at.as_fd(), name, member, true)
        };
        place().map_err(|errno| failed(member, errno))
    }

    fn place_node(
        &mut self,
        member: &Member,
        at: &OwnedFd,
        name: &[u8],
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Result<(), Error> {
        let mut place = || -> Result<(), Refusal> {
            self.remove(at, name)?;
            rustix::fs::mknodat(at, name, kind, Mode::from_raw_mode(0o600), rustix::fs::makedev(major, minor))?;
            self.count_inode(0);
            meta::apply_at(at.as_fd(), name, member, false)
        };
        place().map_err(|errno| failed(member, errno))
    }

    /// Hides `name` of lower layers. What this archive itself has under the name stays.
    fn place_whiteout(&mut self, member: &Member, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        if matches!(name, b"" | b"." | b"..") {
            return Err(refused(member, "a whiteout of no name"));
        }
        let at = &directory.handle;
        let mut place = || -> Result<(), Errno> {
            match tree::status(at, name)? {
                Some(found) if tree::is_directory(&found) => {
                    self.note_anew(&directory.path_of(name));
                    meta::set_opaque(tree::open_beneath(at, name)?)
                }
                Some(_) => Ok(()),
                None => {
                    rustix::fs::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(0, 0))?;
                    self.count_inode(0);
                    Ok(())
                }
            }
        };
        place().map_err(|errno| failed(member, errno))
    }

    /// Copies a piece of the member's data, `(offset, length)`, to its place in the file.
    fn copy<R: Read>(
        &mut self,
        archive: &mut Archive<R>,
        file: &OwnedFd,
        (offset, len): (u64, u64),
        member: &Member,
    ) -> Result<(), Error> {
        let mut buffer = [0; 64 << 10];
        let mut done = 0;
        while done < len {
            let most = buffer.len().min(usize::try_from(len - done).unwrap_or(usize::MAX));
            let n = archive.read_data(&mut buffer[..most])?;
            if n == 0 {
                return Err(refused(member, "its data is shorter than its map"));
            }
            write(file, &buffer[..n], offset + done).map_err(|errno| failed(member, errno))?;
            self.count_written(n as u64)?;
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

fn failed(member: &Member, refusal: impl Into<Refusal>) -> Error {
    match refusal.into() {
        Refusal::Kernel(errno) => Error::Place { path: shown(&member.path), source: errno.into() },
        Refusal::TooLarge { name, length } => {
            Error::Attribute { path: shown(&member.path), name: shown(&name), length }
        }
    }
}

fn refused(member: &Member, why: &str) -> Error {
    Error::Member { path: shown(&member.path), why: why.to_owned() }
}
