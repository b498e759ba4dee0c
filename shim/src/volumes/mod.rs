// SPDX-License-Identifier: Apache-2.0
//! The volumes that an image declares: directories beside the container's writable layer, each a mount of its own.
//!
//! `ROOT/containers/ID/volumes/N` holds what the image has at the volume's place, with the image's own owners: in a
//! pod with a user namespace the mount translates them. It is filled once, at the first start, under another name, and
//! renamed: one that is there is whole. The copying is the image's to make long; it ends with this process, which the
//! daemon kills when a start takes too long or is given up, and only the container's own verbs wait for it. Its
//! memory and disk traffic are this process's, so the daemon's cgroup pays for them, not the container's.

mod attributes;
mod copy;

use crate::failure::{self, Kind, Result};
use crate::order::{Order, What};
use crate::overlay;
use crate::rootfs::{Root, is_dir};
use crate::sys::Single;
use copy::FileId;
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The most bytes of a path in the image that an error shows.
const MOST_TOLD: usize = 512;

/// A volume that is to be filled.
struct Empty<'a> {
    volume: &'a Volume<'a>,
    /// What the image has there, to be copied; `None` for nothing.
    origin: Option<OwnedFd>,
}

/// A volume: where it is, and where the container finds it.
struct Volume<'a> {
    directory: &'a Path,
    destination: &'a str,
}

/// Fills the volumes that are not there yet. False when the container goes on with the files of one that was made when
/// volumes were still directories of the writable layer: there they stay.
///
/// # Errors
/// `InvalidArgument` when the image has something else than a directory at a volume's place; else what the kernel
/// answered.
pub fn fill(order: &Order, single: Single) -> Result<bool> {
    let volumes = order.mounts.iter().filter_map(|mount| match &mount.what {
        What::Volume(bind) => Some(Volume { directory: Path::new(&bind.source), destination: &mount.destination }),
        _ => None,
    });
    let volumes: Vec<Volume<'_>> = volumes.collect();
    if volumes.is_empty() {
        return Ok(true);
    }
    let home = home(&order.root_dir);
    if !home.exists() && has_written(&order.root_dir) {
        return Ok(false);
    }
    if volumes.iter().all(|volume| volume.directory.exists()) {
        return Ok(true);
    }
    let image = Root::new(overlay::read_only(&order.rootfs.layers, None, single)?);
    let (empty, ids) = survey(&image, &volumes)?;
    make_private(&home)?;
    empty.iter().try_for_each(|empty| fill_one(empty, &ids))?;
    Ok(true)
}

/// Undoes what [`fill`] made.
pub fn remove(root_dir: &Path) {
    let _ = fs::remove_dir_all(home(root_dir));
}

fn home(root_dir: &Path) -> std::path::PathBuf {
    root_dir.join("volumes")
}

/// Whether there is a writable layer that something was written to.
fn has_written(root_dir: &Path) -> bool {
    fs::read_dir(root_dir.join("upper")).is_ok_and(|mut entries| entries.next().is_some())
}

/// Looks in the image for each volume's place. Two names can lead to one place, by a link: the first gets what is there,
/// the other is never mounted. And what has a place of its own is not copied with what is above it. So all copies
/// together are no more than the image.
fn survey<'a>(image: &Root, volumes: &'a [Volume<'a>]) -> Result<(Vec<Empty<'a>>, HashSet<FileId>)> {
    let top = FileId::of(image).map_err(|e| failure::kernel("look at", "the image's root", e))?;
    let mut ids = HashSet::from([top]);
    let mut empty = Vec::new();
    for volume in volumes {
        let mut origin = find(image, volume.destination)?;
        if let Some(found) = &origin {
            let place = FileId::of(found).map_err(|e| failure::kernel("look at", volume.destination, e))?;
            if !ids.insert(place) {
                origin = None;
            }
        }
        // All handles are held until the end: a directory keeps its number as long as it is open.
        empty.push(Empty { volume, origin });
    }
    Ok((empty, ids))
}

/// What the image has where the volume is to be.
fn find(image: &Root, destination: &str) -> Result<Option<OwnedFd>> {
    match image.handle(destination.as_bytes()) {
        Ok(found) if is_dir(&found) => Ok(Some(found)),
        Ok(_) => {
            let why = "the image declares a volume there, and has something there that is not a directory";
            Err(failure::refused(Kind::InvalidArgument, "make volume", destination, why))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(failure::kernel("find volume in the image", destination, e)),
    }
}

/// For root alone: other users of the node must not get at a container's set-user-id programs.
fn make_private(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(failure::kernel("make directory", dir.display().to_string(), e))
        }
        _ => Ok(()),
    }
}

fn fill_one(empty: &Empty<'_>, ids: &HashSet<FileId>) -> Result<()> {
    let done = empty.volume.directory;
    if done.exists() {
        return Ok(());
    }
    let filling = done.with_extension("new");
    let fail = |e: std::io::Error| failure::kernel("make volume", filling.display().to_string(), e);
    match fs::remove_dir_all(&filling) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    DirBuilder::new().mode(0o755).create(&filling).map_err(fail)?;
    if let Some(origin) = &empty.origin {
        let copied = copy::tree(origin, &filling, ids);
        copied.map_err(|(path, e)| {
            let path = String::from_utf8_lossy(&path[..path.len().min(MOST_TOLD)]).into_owned();
            failure::kernel("fill volume", format!("{} with {path:?} of the image", empty.volume.destination), e)
        })?;
    }
    fs::rename(&filling, done).map_err(fail)
}
