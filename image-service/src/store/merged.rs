// SPDX-License-Identifier: Apache-2.0
//! Examines directories as overlayfs merges them, without a mount: which layers contribute to one, and where that ends.
//!
//! Everything is opened by handle, one component at a time, without following links. This code resolves links on the way
//! itself; `..` stops at the root. Few descriptors are open: those of one directory at a time, one per layer.

use gorae_unpack::attributes;
use gorae_unpack::beneath::{self, is_link, is_whiteout, status};
use gorae_unpack::refusal::Refusal;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// Most links followed on the way to one directory, the same number as in the kernel.
const MAX_LINKS: usize = 40;
/// Most path components that links may expand to.
const MAX_PENDING: usize = 4096;

/// A directory in one layer.
#[derive(Debug, Clone)]
pub struct Part {
    /// The number of the layer; the topmost is 0.
    pub layer: usize,
    pub handle: Rc<OwnedFd>,
}

/// A directory that several layers contribute to.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The contributing directories, topmost first.
    pub parts: Vec<Part>,
    /// Whether the lowest of them hides the content of lower layers.
    pub is_opaque: bool,
    /// Whether that applies to a parent directory. Lower layers then show nothing of this name.
    pub is_new: bool,
}

/// The type of a name.
#[derive(Debug)]
enum Entry {
    Absent,
    Directory(Merged),
    Link(Vec<u8>),
    Other,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Merged {
    /// The root of these layers (topmost first). An opaque mark on the root of a layer hides nothing: overlayfs ignores it.
    pub fn root(layers: impl IntoIterator<Item = OwnedFd>) -> Self {
        let part = |(layer, handle)| Part { layer, handle: Rc::new(handle) };
        Self { parts: layers.into_iter().enumerate().map(part).collect(), is_opaque: false, is_new: false }
    }

    /// The same directory, but only from the layers below `layer`.
    pub fn below(&self, layer: usize) -> Self {
        Self {
            parts: self.parts.iter().filter(|part| part.layer > layer).cloned().collect(),
            is_opaque: false,
            is_new: false,
        }
    }

    /// The lowest contributing layer.
    pub fn lowest(&self) -> Option<usize> {
        self.parts.last().map(|part| part.layer)
    }

    /// The directory at `path`, without following links; `None` if it does not exist.
    ///
    /// # Errors
    /// The kernel's error for a directory of a layer or its attributes. A link or a file on the way is `None`.
    pub fn directory(&self, path: &[u8]) -> Result<Option<Self>> {
        let mut at = self.clone();
        for component in path.split(|&b| b == b'/').filter(|component| !component.is_empty()) {
            match at.entry(component)? {
                Entry::Directory(found) => at = found,
                Entry::Absent | Entry::Link(_) | Entry::Other => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The directory at `path` and its resolved path, following links as inside a container; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Merged::directory`]. A path with too many links is `None`.
    pub fn resolve(&self, path: &[u8]) -> Result<Option<(Self, Vec<u8>)>> {
        let (mut at, mut walked) = (self.clone(), Vec::<Vec<u8>>::new());
        let mut pending: VecDeque<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(component) = pending.pop_front() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    walked.pop();
                    let Some(up) = self.directory(&walked.join(&b'/'))? else { return Ok(None) };
                    at = up;
                    continue;
                }
                _ => {}
            }
            match at.entry(&component)? {
                Entry::Directory(found) => {
                    at = found;
                    walked.push(component);
                }
                Entry::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS || pending.len() > MAX_PENDING {
                        return Ok(None);
                    }
                    if target.starts_with(b"/") {
                        (at, walked) = (self.clone(), Vec::new());
                    }
                    target.split(|&b| b == b'/').rev().for_each(|part| pending.push_front(part.to_vec()));
                }
                Entry::Absent | Entry::Other => return Ok(None),
            }
        }
        Ok(Some((at, walked.join(&b'/'))))
    }

    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let (mut parts, mut is_opaque) = (Vec::new(), false);
        for part in &self.parts {
            match beneath::open(&part.handle, name) {
                Ok(handle) => {
                    is_opaque = attributes::is_opaque(&handle)?;
                    parts.push(Part { layer: part.layer, handle: Rc::new(handle) });
                }
                Err(Errno::NOENT) => continue,
                // Anything but a directory hides the entries below it, and does not merge with those above.
                Err(Errno::LOOP | Errno::NOTDIR) if !parts.is_empty() => break,
                Err(Errno::LOOP | Errno::NOTDIR) => return self.other(part, name),
                Err(errno) => return Err(errno.into()),
            }
            if is_opaque {
                break;
            }
        }
        let Some(lowest) = parts.last().map(|part| part.layer) else { return Ok(Entry::Absent) };
        let is_new = (self.is_opaque || self.is_new) && Some(lowest) == self.lowest();
        Ok(Entry::Directory(Self { parts, is_opaque, is_new }))
    }

    fn other(&self, part: &Part, name: &[u8]) -> Result<Entry> {
        Ok(match status(&part.handle, name)? {
            None => Entry::Absent,
            Some(found) if is_whiteout(&found) => Entry::Absent,
            Some(found) if is_link(&found) => {
                Entry::Link(rustix::fs::readlinkat(&*part.handle, name, Vec::new())?.into_bytes())
            }
            Some(_) => Entry::Other,
        })
    }
}
