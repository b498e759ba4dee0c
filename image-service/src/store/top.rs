// SPDX-License-Identifier: Apache-2.0
//! The tree of directories on top of an image's layers.
//!
//! A layer need not list the parents of its members, and layers are unpacked concurrently and independently. So a directory
//! that a layer only implies belongs to root there and has mode 0755, and overlayfs shows it as in the topmost layer: a
//! layer with only `tmp/x` would cost `/tmp` its sticky bit. Runtimes that apply one layer after another keep the
//! description of the lower layer. Here each layer records what it implied, and an image that needs it gets one more
//! layer. It has only the directories in question and their parents, as in the nearest layer that describes them. Content
//! that overlayfs would hide stays hidden, because the layers already show every directory of the tree.
//!
//! The tree is named after the layers below it and shared by all images with these layers. It is kept, counted and
//! collected like a layer, and created again if it is missing. An image that does not need one only pays for a look at the
//! numbers in the records of its layers.

use crate::image::Top;
use crate::store::disk::Store;
use crate::store::error::Error;
use crate::store::kept::{Kept, KeptLayer};
use crate::store::plan::{Lower, Plan};
use crate::store::record::{self, Implied};
use crate::store::staged::Staged;
use gorae_digest::Digest;
use gorae_unpack::Reserve;
use gorae_unpack::beneath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Most bytes of directory names that the layers of one image may imply, the same as the unpacker allows for one layer.
const MAX_NAMES: u64 = 64 << 20;

/// The name of the tree on top of these layers (bottom first). No registry layer can have this name, because the hashed
/// text is not a tar stream.
pub fn name(layers: &[Digest]) -> Digest {
    let list: Vec<String> = layers.iter().map(Digest::to_string).collect();
    Digest::of(format!("directories on top of\n{}", list.join("\n")).as_bytes())
}

/// Layers for overlayfs: topmost first, without duplicates. Overlayfs rejects duplicates, and the topmost of them hides
/// the others.
pub fn top_first(layers: &[Digest]) -> impl Iterator<Item = &Digest> {
    let mut seen = HashSet::new();
    layers.iter().rev().filter(move |layer| seen.insert(*layer))
}

impl Store {
    /// Determines whether an image of these layers needs a tree; if so and it is absent, creates it below `temp`.
    ///
    /// - Shapes: the layers are staged or pinned, and so is the name from [`name`].
    ///
    /// # Errors
    /// [`Error::File`]. A layer whose names cannot be read must be fetched again; the next pull does that.
    pub(super) fn make_top(
        &self,
        layers: &[Digest],
        staged: &[Arc<Staged>],
        reserve: Reserve,
    ) -> Result<(Top, Option<Arc<Staged>>), Error> {
        let order: Vec<&Digest> = top_first(layers).collect();
        let known: Option<Vec<Implied>> = {
            let kept = self.kept();
            order.iter().map(|layer| implied(&kept, staged, layer)).collect()
        };
        // A layer that is not known is missing, which the commit reports, or a container holds it and its record is lost.
        let Some(known) = known else { return Ok((Top::Unknown, None)) };
        let name = name(layers);
        if !may_need_one(&known) {
            return Ok((Top::Nothing, None));
        }
        if self.kept().layers.contains_key(&name) {
            return Ok((Top::Tree(name), None));
        }
        let lowers = self.lowers(order.iter().copied().zip(known), staged)?;
        let plan = Plan::of(lowers).map_err(top_failed)?;
        if plan.is_empty() {
            return Ok((Top::Nothing, None));
        }
        let made = self.stage_top(&name, &plan, reserve)?;
        Ok((Top::Tree(name), Some(made)))
    }

    /// Creates the tree of an image again at startup if it is missing or its record is damaged.
    pub(super) fn restore_top(&self, kept: &mut Kept, layers: &[Digest], top: &Top) -> Result<(), Error> {
        let Top::Tree(name) = top else { return Ok(()) };
        if kept.layers.contains_key(name) {
            return Ok(());
        }
        let known = top_first(layers).map(|layer| {
            let missing = || Error::LayerMissing(layer.to_string());
            Ok((layer, implied(kept, &[], layer).ok_or_else(missing)?))
        });
        let known: Vec<(&Digest, Implied)> = known.collect::<Result<_, Error>>()?;
        let plan = Plan::of(self.lowers(known.into_iter(), &[])?).map_err(top_failed)?;
        // It existed, and the image with it, so the reserve does not apply.
        let made = self.stage_top(name, &plan, Reserve::Bytes(0))?;
        rustix::fs::syncfs(&self.handle).map_err(|e| Error::file("sync", &self.root, e.into()))?;
        tracing::warn!(tree = %name, "recreated the missing directories on top of an image");
        self.publish_layer(kept, &made)
    }

    fn stage_top(&self, name: &Digest, plan: &Plan, reserve: Reserve) -> Result<Arc<Staged>, Error> {
        self.stage_with(name, |_, root| {
            let usage = plan.build(root, reserve).map_err(top_failed)?;
            Ok(KeptLayer { usage, implied: None })
        })
    }

    fn lowers<'d>(
        &self,
        layers: impl Iterator<Item = (&'d Digest, Implied)>,
        staged: &[Arc<Staged>],
    ) -> Result<Vec<Lower>, Error> {
        let mut budget = MAX_NAMES;
        layers.map(|(layer, implied)| self.lower(layer, implied, staged, &mut budget)).collect()
    }

    fn lower(
        &self,
        layer: &Digest,
        implied: Implied,
        staged: &[Arc<Staged>],
        budget: &mut u64,
    ) -> Result<Lower, Error> {
        let staged = staged.iter().find(|staged| staged.diff_id() == layer).map(|staged| staged.path().to_owned());
        // Another pull may have committed a staged layer in the meantime; it is then among the layers.
        let places = staged.into_iter().chain([self.layer_path(layer)]);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut found = Err(Error::LayerMissing(layer.to_string()));
        for path in places {
            match rustix::fs::open(&path, flags, Mode::empty()) {
                Err(Errno::NOENT) => {}
                other => {
                    found = other.map(|fd| (fd, path.clone())).map_err(|e| Error::file("open", &path, e.into()));
                    break;
                }
            }
        }
        let (directory, path) = found?;
        let root = beneath::open(&directory, b"fs").map_err(|e| Error::file("open the files of", &path, e.into()))?;
        let names = match implied.directories {
            0 => Vec::new(),
            number => self.names_of(layer, &directory, number, *budget)?,
        };
        *budget = budget.saturating_sub(names.iter().map(|name| name.len() as u64 + 1).sum());
        let root_name = implied.root.then(Vec::new);
        Ok(Lower { root, implied: names.into_iter().chain(root_name).collect() })
    }

    fn names_of(&self, layer: &Digest, directory: &OwnedFd, number: u64, most: u64) -> Result<Vec<Vec<u8>>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(directory, "implied", flags, Mode::empty());
        let read = opened.map_err(|e| io::Error::from(e).into()).and_then(|fd| record::read_names(fd.into(), most));
        match read {
            Ok(Some(names)) if names.len() as u64 == number => Ok(names),
            Ok(None) => Err(Error::TooManyImplied { limit: MAX_NAMES }),
            other => {
                let why = other.map_or_else(|e| e.to_string(), |_| format!("it does not have {number} names"));
                Err(Error::Implied { layer: layer.to_string(), why })
            }
        }
    }

    /// Discards what a layer implies, so that the next pull unpacks it again.
    pub(super) fn forget_implied(&self, layer: &str) {
        if let Ok(layer) = Digest::parse(layer)
            && let Some(kept) = self.kept().layers.get_mut(&layer)
        {
            kept.implied = None;
        }
    }
}

fn top_failed(error: gorae_unpack::Error) -> Error {
    Error::Top(Box::new(error))
}

fn implied(kept: &Kept, staged: &[Arc<Staged>], layer: &Digest) -> Option<Implied> {
    let staged = || staged.iter().find(|staged| staged.diff_id() == layer).and_then(|staged| staged.layer().implied);
    kept.layers.get(layer).and_then(|kept| kept.implied).or_else(staged)
}

/// Whether any layer but the lowest implies something. The root counts if the topmost layer implies it and a lower one
/// describes it.
fn may_need_one(layers: &[Implied]) -> bool {
    let Some((_, above)) = layers.split_last() else { return false };
    let root = layers.first().is_some_and(|top| top.root) && layers.iter().any(|layer| !layer.root);
    root || above.iter().any(|layer| layer.directories > 0)
}
