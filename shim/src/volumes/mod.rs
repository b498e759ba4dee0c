// SPDX-License-Identifier: Apache-2.0
//! The volumes that an image declares: directories beside the container's writable layer, each a mount of its own.
//!
//! `ROOT/containers/ID/volumes/N` holds what the image has at the volume's place, with the image's own owners: in a
//! pod with a user namespace the mount translates them. It is filled once, at the first start, under another name, and
//! renamed: one that is there is whole. The copying is the image's to make long; it ends with this process, which the
//! daemon kills when a start takes too long or is given up, and nobody waits for it but the container's own verbs. Its
//! memory and disk traffic are this process's, so the daemon's cgroup pays for them, not the container's.

mod attributes;
mod copy;

use crate::failure::{self, Kind, Result};
use crate::overlay;
use crate::rootfs::{Root, is_dir};
use crate::sys::Single;
use crate::wire::{Mount, Start};
use copy::Place;
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What such a mount has for a file system.
pub const KIND: &str = "volume";

/// Most bytes of a path in the image that an error shows.
const MOST_TOLD: usize = 512;

/// A volume that is to be filled.
struct Empty<'a> {
    mount: &'a Mount,
    /// What the image has there, to be copied; `None` for nothing.
    origin: Option<OwnedFd>,
}

/// Fills the volumes that are not there yet. False when the container goes on with the files of one that was made when
/// volumes were still directories of the writable layer: there they stay.
pub fn fill(start: &Start, single: Single) -> Result<bool> {
    let volumes: Vec<&Mount> = start.mounts.iter().filter(|m| m.filesystem == KIND).collect();
    if volumes.is_empty() {
        return Ok(true);
    }
    let root_dir = Path::new(&start.root_dir);
    let home = home(root_dir);
    if !home.exists() && has_written(root_dir) {
        return Ok(false);
    }
    if volumes.iter().all(|volume| Path::new(&volume.source).exists()) {
        return Ok(true);
    }
    let layers = start.rootfs.as_ref().map(|rootfs| rootfs.layers.as_slice()).unwrap_or_default();
    let image = Root::new(overlay::read_only(layers, None, single)?);
    let (empty, places) = survey(&image, &volumes)?;
    make_private(&home)?;
    empty.iter().try_for_each(|volume| fill_one(volume, &places))?;
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
fn survey<'a>(image: &Root, volumes: &[&'a Mount]) -> Result<(Vec<Empty<'a>>, HashSet<Place>)> {
    let top = Place::of(image).map_err(|e| failure::kernel("look at", "the image's root", e))?;
    let mut places = HashSet::from([top]);
    let mut empty = Vec::new();
    for mount in volumes {
        let mut origin = find(image, &mount.destination)?;
        if let Some(found) = &origin {
            let place = Place::of(found).map_err(|e| failure::kernel("look at", &mount.destination, e))?;
            if !places.insert(place) {
                origin = None;
            }
        }
        // The handles of all are held until the end: a directory keeps its number as long as somebody has it open.
        empty.push(Empty { mount, origin });
    }
    Ok((empty, places))
}

/// What the image has where the volume is to be.
fn find(image: &Root, destination: &str) -> Result<Option<OwnedFd>> {
    match image.handle(destination.as_bytes()) {
        Ok(found) if is_dir(&found) => Ok(Some(found)),
        Ok(_) => {
            let why = "the image declares a volume there, and has something that is no directory";
            Err(failure::refused(Kind::InvalidArgument, "make volume", destination, why))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(failure::kernel("find volume in the image", destination, e)),
    }
}

/// Root's alone: who is on the node must not get at a container's set-user-id programs.
fn make_private(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(failure::kernel("make directory", dir.display().to_string(), e))
        }
        _ => Ok(()),
    }
}

fn fill_one(volume: &Empty<'_>, places: &HashSet<Place>) -> Result<()> {
    let done = Path::new(&volume.mount.source);
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
    if let Some(origin) = &volume.origin {
        let copied = copy::tree(origin, &filling, places);
        copied.map_err(|(path, e)| {
            let path = String::from_utf8_lossy(&path[..path.len().min(MOST_TOLD)]).into_owned();
            failure::kernel("fill volume", format!("{} with {path:?} of the image", volume.mount.destination), e)
        })?;
    }
    fs::rename(&filling, done).map_err(fail)
}
