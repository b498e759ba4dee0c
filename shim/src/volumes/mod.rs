// SPDX-License-Identifier: Apache-2.0
//! The volumes that an image declares: directories next to the container's writable layer, each mounted separately.
//!
//! `ROOT/containers/ID/volumes/N` holds what the image has at the volume's destination, with the image's own owners; in a
//! pod with a user namespace, the mount maps them. It is filled once, at the first start, under another name, and then
//! renamed: a volume that exists is complete. How long the copy takes depends on the image. It ends with this process,
//! which the daemon kills when a start takes too long or is abandoned, and only the container's own verbs wait for it. Its
//! memory and disk traffic belong to this process, so they are charged to the daemon's cgroup, not the container's.

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

/// Most bytes of a path in the image that an error shows.
const MOST_TOLD: usize = 512;

/// A volume to fill.
struct Empty<'a> {
    volume: &'a Volume<'a>,
    /// The image's directory to copy; `None` if there is none.
    origin: Option<OwnedFd>,
}

/// A volume: its directory on the host and its path in the container.
struct Volume<'a> {
    directory: &'a Path,
    destination: &'a str,
}

/// Fills the volumes that do not exist yet. Returns false when the container continues with the files of an older version,
/// which kept volumes as directories in the writable layer: they stay there.
///
/// # Errors
/// `InvalidArgument` when the image has something other than a directory at a volume's destination; otherwise the kernel's
/// error.
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

/// Removes what [`fill`] made.
pub fn remove(root_dir: &Path) {
    let _ = fs::remove_dir_all(home(root_dir));
}

fn home(root_dir: &Path) -> std::path::PathBuf {
    root_dir.join("volumes")
}

/// Whether something has been written to the writable layer.
fn has_written(root_dir: &Path) -> bool {
    fs::read_dir(root_dir.join("upper")).is_ok_and(|mut entries| entries.next().is_some())
}

/// Finds each volume's destination in the image. Two paths can lead to the same directory, through a link: the first
/// volume gets its content, the other is never mounted. A directory with a volume of its own is not copied as part of an
/// outer volume. So all copies together are not larger than the image.
fn survey<'a>(image: &Root, volumes: &'a [Volume<'a>]) -> Result<(Vec<Empty<'a>>, HashSet<FileId>)> {
    let top = FileId::of(image).map_err(|e| failure::kernel("stat", "the image's root", e))?;
    let mut ids = HashSet::from([top]);
    let mut empty = Vec::new();
    for volume in volumes {
        let mut origin = find(image, volume.destination)?;
        if let Some(found) = &origin {
            let place = FileId::of(found).map_err(|e| failure::kernel("stat", volume.destination, e))?;
            if !ids.insert(place) {
                origin = None;
            }
        }
        // All handles stay open until the end, because a directory keeps its inode number as long as it is open.
        empty.push(Empty { volume, origin });
    }
    Ok((empty, ids))
}

/// The image's directory at the volume's destination, if there is one.
fn find(image: &Root, destination: &str) -> Result<Option<OwnedFd>> {
    match image.handle(destination.as_bytes()) {
        Ok(found) if is_dir(&found) => Ok(Some(found)),
        Ok(_) => {
            let why = "the image declares a volume there, but the path in the image is not a directory";
            Err(failure::refused(Kind::InvalidArgument, "make volume", destination, why))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(failure::kernel("find volume in the image", destination, e)),
    }
}

/// Makes a directory for root only: other users of the node must not reach a container's set-user-id programs.
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
