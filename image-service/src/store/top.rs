// SPDX-License-Identifier: Apache-2.0
//! The tree of directories on top of an image's layers.
//!
//! A layer need not list the parents of its members, and layers are unpacked at the same time, none knowing the others.
//! So a directory that a layer only implies is 0755 and root's there, and overlayfs shows it as the topmost layer has
//! it: `/tmp` would lose its sticky bit to a layer with nothing but `tmp/x`. Runtimes that apply one layer after the
//! other keep what the lower layer says. Here each layer notes what it implied, and an image that needs it gets one more
//! layer: only the directories in question, and their parents, as the nearest layer that describes them has them. What
//! overlayfs would hide stays hidden, for the tree has no directory that the layers do not show already.
//!
//! It is named by the layers below it, shared by all images with these, kept, counted and collected as a layer is, and
//! made again when it is missing. An image that needs none pays a look at the numbers in its layers' records.

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

/// Most bytes of names that the layers of one image may imply: what the unpacker remembers of one.
const MAX_NAMES: u64 = 64 << 20;

/// The name of the tree on top of these layers (bottom first). No layer from outside can have it: this is no tar stream.
pub fn name(layers: &[Digest]) -> Digest {
    let list: Vec<String> = layers.iter().map(Digest::to_string).collect();
    Digest::of(format!("directories on top of\n{}", list.join("\n")).as_bytes())
}

/// Layers as overlayfs gets them: topmost first. It refuses a directory given twice, and the topmost stands for all: it
/// hides what the others would show.
pub fn top_first(layers: &[Digest]) -> impl Iterator<Item = &Digest> {
    let mut seen = HashSet::new();
    layers.iter().rev().filter(move |layer| seen.insert(*layer))
}

impl Store {
    /// Finds out whether an image of these layers needs a tree, and makes it below `temp` when it does and is not there.
    ///
    /// - Shapes: the layers are staged or pinned; the name that [`name`] gives is pinned as well.
    ///
    /// # Errors
    /// [`Error::File`]. A layer whose names cannot be read has to be fetched again, which the next pull does.
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
        // A layer that is not known is missing, which the commit says, or it is the record of one that a container holds.
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

    /// At a start: makes the tree of an image again when it is missing or its record is damaged.
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
        // It was there, and the image with it: the reserve is not for this.
        let made = self.stage_top(name, &plan, Reserve::Bytes(0))?;
        rustix::fs::syncfs(&self.handle).map_err(|e| self.failed("sync", &self.root, e.into()))?;
        tracing::warn!(tree = %name, "the directories on top of an image were missing and are made again");
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
        // Another pull may have committed a staged layer meanwhile: then it is where all are.
        let places = staged.into_iter().chain([self.layer_path(layer)]);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut found = Err(Error::LayerMissing(layer.to_string()));
        for path in places {
            match rustix::fs::open(&path, flags, Mode::empty()) {
                Err(Errno::NOENT) => {}
                other => {
                    found = other.map(|fd| (fd, path.clone())).map_err(|e| self.failed("open", &path, e.into()));
                    break;
                }
            }
        }
        let (directory, path) = found?;
        let root = beneath::open(&directory, b"fs").map_err(|e| self.failed("open the files of", &path, e.into()))?;
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
                let why = other.map_or_else(|e| e.to_string(), |_| format!("it has not {number} names"));
                Err(Error::Implied { layer: layer.to_string(), why })
            }
        }
    }

    /// What a layer's names are is no longer known: the next pull unpacks it again.
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

/// Whether any layer but the lowest implies something; of the root, whether a layer below the topmost describes it.
fn may_need_one(layers: &[Implied]) -> bool {
    let Some((_, above)) = layers.split_last() else { return false };
    let root = layers.first().is_some_and(|top| top.root) && layers.iter().any(|layer| !layer.root);
    root || above.iter().any(|layer| layer.directories > 0)
}
