// SPDX-License-Identifier: Apache-2.0
//! One tar member → one name in the layer directory.
//!
//! A later member of the same name replaces an earlier one; a directory over a directory keeps its content. Whiteouts
//! (`.wh.NAME`) become character devices 0:0 and opaque marks (`.wh..wh..opq`) the overlay attribute; both speak about
//! lower layers only, never about members of the same archive (OCI image-spec layer.md, "Whiteouts").

use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::archive::{Archive, Content, Member};
use super::tree::{self, Tree, shown};
use super::{Error, meta};

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
        let at = self.parent(parent).map_err(|errno| failed(member, errno))?;
        if name == OPAQUE {
            return meta::set_opaque(at.as_fd()).map_err(|errno| failed(member, errno));
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.place_whiteout(member, &at, hidden);
        }
        match &member.content {
            Content::Directory => self.place_directory(member, &at, name, &path),
            Content::File { .. } => self.place_file(member, &at, name, archive),
            Content::Hardlink { target } => self.place_hardlink(member, &at, name, target),
            Content::Symlink { target } => self.place_symlink(member, &at, name, target),
            Content::CharDevice { major, minor } => {
                self.place_node(member, &at, name, FileType::CharacterDevice, (*major, *minor))
            }
            Content::BlockDevice { major, minor } => {
                self.place_node(member, &at, name, FileType::BlockDevice, (*major, *minor))
            }
            Content::Fifo => self.place_node(member, &at, name, FileType::Fifo, (0, 0)),
        }
    }

    /// `./` describes the root itself.
    fn place_root(&mut self, member: &Member) -> Result<(), Error> {
        if member.content != Content::Directory {
            return Err(refused(member, "the layer's root can only be a directory"));
        }
        meta::apply(self.root().as_fd(), member).map_err(|errno| failed(member, errno))?;
        self.remember_times(&[], member.mtime)
    }

    fn place_directory(&mut self, member: &Member, at: &OwnedFd, name: &[u8], path: &[&[u8]]) -> Result<(), Error> {
        let mut place = || -> Result<(), Errno> {
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
        place().map_err(|errno| failed(member, errno))?;
        self.remember_times(path, member.mtime)
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
            copy(archive, &file, offset, len, member)?;
        }
        let ends_in_hole = data.pieces().last().map_or(0, |(offset, len)| offset + len) < *length;
        let done = if ends_in_hole { rustix::fs::ftruncate(&file, *length) } else { Ok(()) };
        done.and_then(|()| meta::apply(&file, member)).map_err(|errno| failed(member, errno))
    }

    fn place_hardlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let target = self.components(target)?;
        let Some((&target_name, target_parent)) = target.split_last() else {
            return Err(refused(member, "a hard link to the layer's root"));
        };
        let target_at = self.existing(target_parent).map_err(|errno| failed(member, errno))?;
        let status = |at: &OwnedFd, name| tree::status(at, name).map_err(|errno| failed(member, errno));
        let Some(found) = status(&target_at, target_name)? else {
            return Err(refused(member, &format!("its link target {:?} is not in this layer", shown(target_name))));
        };
        if let Some(present) = status(at, name)? {
            if (present.st_dev, present.st_ino) == (found.st_dev, found.st_ino) {
                return Ok(());
            }
            self.remove(at, name).map_err(|errno| failed(member, errno))?;
        }
        rustix::fs::linkat(&*target_at, target_name, at, name, AtFlags::empty()).map_err(|errno| failed(member, errno))
    }

    fn place_symlink(&mut self, member: &Member, at: &OwnedFd, name: &[u8], target: &[u8]) -> Result<(), Error> {
        if target.len() > MAX_TARGET || target.contains(&0) {
            return Err(refused(member, "its link target is no path"));
        }
        // The target is only a text here; who follows it does so inside the container.
        let mut place = || -> Result<(), Errno> {
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
        let mut place = || -> Result<(), Errno> {
            self.remove(at, name)?;
            rustix::fs::mknodat(at, name, kind, Mode::from_raw_mode(0o600), rustix::fs::makedev(major, minor))?;
            self.count_inode(0);
            meta::apply_at(at.as_fd(), name, member, false)
        };
        place().map_err(|errno| failed(member, errno))
    }

    /// Hides `name` of lower layers. What this archive itself has under the name stays.
    fn place_whiteout(&mut self, member: &Member, at: &Rc<OwnedFd>, name: &[u8]) -> Result<(), Error> {
        if matches!(name, b"" | b"." | b"..") {
            return Err(refused(member, "a whiteout of no name"));
        }
        let mut place = || -> Result<(), Errno> {
            match tree::status(at, name)? {
                Some(found) if tree::is_directory(&found) => meta::set_opaque(tree::open_beneath(at, name)?),
                Some(_) => Ok(()),
                None => {
                    rustix::fs::mknodat(
                        &**at,
                        name,
                        FileType::CharacterDevice,
                        Mode::empty(),
                        rustix::fs::makedev(0, 0),
                    )?;
                    self.count_inode(0);
                    Ok(())
                }
            }
        };
        place().map_err(|errno| failed(member, errno))
    }
}

/// Copies `len` bytes of the member's data to `offset` of the file.
fn copy<R: Read>(
    archive: &mut Archive<R>,
    file: &OwnedFd,
    offset: u64,
    len: u64,
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
        let mut written = 0;
        while written < n {
            let at = offset + done + written as u64;
            written += match rustix::io::pwrite(file, &buffer[written..n], at) {
                Ok(0) => return Err(failed(member, Errno::IO)),
                Ok(more) => more,
                Err(Errno::INTR) => 0,
                Err(errno) => return Err(failed(member, errno)),
            };
        }
        done += n as u64;
    }
    Ok(())
}

fn failed(member: &Member, errno: Errno) -> Error {
    Error::Place { path: shown(&member.path), source: errno.into() }
}

fn refused(member: &Member, why: &str) -> Error {
    Error::Member { path: shown(&member.path), why: why.to_owned() }
}
