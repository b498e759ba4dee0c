// SPDX-License-Identifier: Apache-2.0
//! Walks to a member's parent directory, component by component, resolving links as inside the container.

use crate::attributes;
use crate::beneath::{self, is_link, is_whiteout};
use crate::directories::Origin;
use crate::tree::{Directory, Tree};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::rc::Rc;

/// Most links followed on the way to one member, the same number as in the kernel.
const MAX_LINKS: usize = 40;
/// Most path components that links may expand to.
const MAX_PENDING: usize = 4096;

/// What happens to a directory that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It is made.
    Make,
    /// The walk fails.
    Fail,
}

/// A walk in progress.
struct Way {
    /// The directories from the root down to the current one.
    stack: Vec<Rc<Directory>>,
    pending: VecDeque<Vec<u8>>,
    links: usize,
}

impl Tree {
    /// Opens the directory at `path`; missing ones are created with mode 0755 (the archive may describe them later).
    ///
    /// # Errors
    /// The kernel's error; `LOOP` or `NAMETOOLONG` if links lead nowhere.
    pub fn parent(&mut self, path: &[&[u8]]) -> Result<Rc<Directory>, Errno> {
        self.directory(path, Missing::Make)
    }

    /// Opens the directory at `path`, which must exist.
    ///
    /// # Errors
    /// `NOENT` if it does not exist, otherwise as [`Tree::parent`].
    pub fn existing(&mut self, path: &[&[u8]]) -> Result<Rc<Directory>, Errno> {
        self.directory(path, Missing::Fail)
    }

    fn directory(&mut self, path: &[&[u8]], missing: Missing) -> Result<Rc<Directory>, Errno> {
        if path.is_empty() {
            return Ok(self.root());
        }
        let key = path.join(&b'/');
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let found = match beneath::open(&self.root().handle, &key) {
            Ok(handle) => Rc::new(Directory { handle, path: key.clone() }),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(path, missing)?,
            Err(other) => return Err(other),
        };
        self.keep_open(key, &found);
        Ok(found)
    }

    /// Walks down component by component.
    fn walk(&mut self, path: &[&[u8]], missing: Missing) -> Result<Rc<Directory>, Errno> {
        let pending = path.iter().map(|component| component.to_vec()).collect();
        let mut way = Way { stack: vec![self.root()], pending, links: 0 };
        while let Some(component) = way.pending.pop_front() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    way.stack.truncate((way.stack.len() - 1).max(1));
                    continue;
                }
                name => self.step(&mut way, name, missing)?,
            }
            if way.stack.len() > self.bounds.depth() + 1 {
                return Err(Errno::NAMETOOLONG);
            }
        }
        Ok(way.stack.pop().expect("the root is never popped"))
    }

    /// Takes one step, to a name that may be a directory, a link or missing.
    fn step(&mut self, way: &mut Way, name: &[u8], missing: Missing) -> Result<(), Errno> {
        let at = Rc::clone(way.stack.last().expect("the root is never popped"));
        match beneath::open(&at.handle, name) {
            Ok(handle) => way.stack.push(Rc::new(Directory { handle, path: at.path_of(name) })),
            Err(Errno::NOENT) if missing == Missing::Make => {
                way.stack.push(Rc::new(self.make_undescribed(&at, name, Origin::Implied)?))
            }
            Err(Errno::LOOP | Errno::NOTDIR) => match beneath::status(&at.handle, name)? {
                Some(found) if is_link(&found) => {
                    way.follow(rustix::fs::readlinkat(&at.handle, name, Vec::new())?.as_bytes())?;
                }
                Some(found) if missing == Missing::Make && is_whiteout(&found) => {
                    // Deleted and then created again in this layer: lower content stays hidden.
                    self.remove(&at.handle, name)?;
                    let made = self.make_undescribed(&at, name, Origin::Anew)?;
                    attributes::set_opaque(&made.handle)?;
                    way.stack.push(Rc::new(made));
                }
                _ => return Err(Errno::NOTDIR),
            },
            Err(other) => return Err(other),
        }
        Ok(())
    }
}

impl Way {
    /// Puts a link's target in front of the pending components.
    fn follow(&mut self, target: &[u8]) -> Result<(), Errno> {
        self.links += 1;
        if self.links > MAX_LINKS || self.pending.len() > MAX_PENDING {
            return Err(Errno::LOOP);
        }
        if target.starts_with(b"/") {
            self.stack.truncate(1);
        }
        target.split(|&b| b == b'/').rev().for_each(|part| self.pending.push_front(part.to_vec()));
        Ok(())
    }
}
