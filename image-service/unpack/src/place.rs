// SPDX-License-Identifier: Apache-2.0
//! Places one tar member as one name in the layer directory.
//!
//! A later member replaces an earlier one of the same name; a directory over a directory keeps its content. Whiteouts
//! (`.wh.NAME`) become character devices 0:0, and opaque marks (`.wh..wh..opq`) become the overlay attribute. Both affect
//! only lower layers, never members of the same archive (OCI image-spec layer.md, "Whiteouts").

use crate::archive::Archive;
use crate::attributes;
use crate::beneath;
use crate::error::Error;
use crate::links::Node;
use crate::member::{Content, Member};
use crate::meta::{self, Times};
use crate::refusal::Refusal;
use crate::tree::{Directory, Tree};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use std::io::Read;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Prefix of other names that aufs uses for bookkeeping.
const AUFS: &[u8] = b".wh..wh.";

impl Tree {
    /// Places a member; the data of a file is read from `archive`.
    ///
    /// # Errors
    /// [`Error::Member`] if we refuse the member, [`Error::Place`] if the kernel does, [`Error::Limit`].
    pub fn place<R: Read>(&mut self, member: &Member, archive: &mut Archive<R>) -> Result<(), Error> {
        self.bounds.count_member(&self.root().handle)?;
        let path = self.components(&member.path)?;
        let Some((&name, parent)) = path.split_last() else { return self.place_root(member) };
        let directory = self.parent(parent).map_err(|errno| member.failed(errno))?;
        self.directories.check()?;
        let at = &directory.handle;
        if name == OPAQUE {
            return attributes::set_opaque(at).map_err(|errno| member.failed(errno));
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
            Content::CharDevice { major, minor } => self.place_node(member, at, name, Node::character(*major, *minor)),
            Content::BlockDevice { major, minor } => self.place_node(member, at, name, Node::block(*major, *minor)),
            Content::Fifo => self.place_node(member, at, name, Node::FIFO),
        }
    }

    /// Applies a member `./`, which describes the root itself.
    fn place_root(&mut self, member: &Member) -> Result<(), Error> {
        if member.content != Content::Directory {
            return Err(member.refused("the layer's root can only be a directory"));
        }
        meta::apply(&self.root().handle, member).map_err(|refusal| member.failed(refusal))?;
        self.directories.describe(Vec::new(), Times::of(member))
    }

    fn place_directory(&mut self, member: &Member, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        let at = &directory.handle;
        let mut place = || -> Result<(), Refusal> {
            let handle = match beneath::status(at, name)? {
                Some(found) if beneath::is_directory(&found) => beneath::open(at, name)?,
                Some(found) => {
                    self.remove(at, name)?;
                    let made = self.make(at, name)?;
                    if beneath::is_whiteout(&found) {
                        attributes::set_opaque(&made)?;
                    }
                    made
                }
                None => self.make(at, name)?,
            };
            meta::apply(&handle, member)
        };
        place().map_err(|refusal| member.failed(refusal))?;
        self.directories.describe(directory.path_of(name), Times::of(member))
    }

    /// Hides `name` of lower layers. Anything that this archive itself has under the name stays.
    fn place_whiteout(&mut self, member: &Member, directory: &Directory, name: &[u8]) -> Result<(), Error> {
        if matches!(name, b"" | b"." | b"..") {
            return Err(member.refused("a whiteout without a name"));
        }
        let at = &directory.handle;
        let mut place = || -> Result<(), Errno> {
            match beneath::status(at, name)? {
                Some(found) if beneath::is_directory(&found) => {
                    self.directories.note_anew(&directory.path_of(name));
                    attributes::set_opaque(beneath::open(at, name)?)
                }
                Some(_) => Ok(()),
                None => {
                    rustix::fs::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(0, 0))?;
                    self.bounds.count_node();
                    Ok(())
                }
            }
        };
        place().map_err(|errno| member.failed(errno))
    }
}
