// SPDX-License-Identifier: Apache-2.0
//! Images as volumes: their layers at a path of the container, whole or one directory or file of them, read-only.

use super::{Source, attributes};
use crate::failure::{self, Failure, Result};
use crate::overlay;
use crate::rootfs::{Point, Root, is_dir};
use crate::sys::Single;
use crate::tree::{Reach, set_attributes};
use crate::wire::Mount;
use rustix::mount::MountAttrFlags;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// An image volume, ready to be attached.
#[derive(Debug)]
pub struct Volume {
    /// What is mounted.
    pub source: Source,
    /// What it needs to stand on.
    pub point: Point,
}

/// Mounts the layers, attached nowhere, and looks at what is shown of them.
///
/// - Errors: `NotFound` for a path that the image does not have.
pub fn prepare(mount: &Mount, run_dir: &str, user_namespace: Option<BorrowedFd<'_>>, single: Single) -> Result<Volume> {
    prepare_any(mount, run_dir, user_namespace, single).map_err(of_image_volume)
}

/// Whether the path of each volume is in its image: the container is not made when it is not.
///
/// - Errors: as `prepare`, for the first that is missing.
pub fn look(volumes: &[Mount], single: Single) -> Result<()> {
    volumes.iter().try_for_each(|volume| {
        let found =
            overlay::read_only(&volume.image_layers, None, single).and_then(|tree| find(&Root::new(tree), volume));
        found.map(drop).map_err(of_image_volume)
    })
}

fn prepare_any(mount: &Mount, run_dir: &str, user_namespace: Option<BorrowedFd<'_>>, single: Single) -> Result<Volume> {
    let tree = overlay::read_only(&mount.image_layers, user_namespace, single)?;
    let attributes = attributes(mount) | MountAttrFlags::MOUNT_ATTR_RDONLY;
    set_attributes(&tree, Reach::Top, attributes, &mount.destination)?;
    let sub_path = sub_path(mount);
    if sub_path.is_empty() {
        return Ok(Volume { source: Source::Tree(tree), point: Point::Directory });
    }
    let root = Root::new(tree);
    let point = if is_dir(find(&root, mount)?) { Point::Directory } else { Point::File };
    let scratch = PathBuf::from(run_dir);
    let source = Source::SubPath { overlay: root.into_fd(), sub_path: sub_path.as_bytes().to_vec(), scratch };
    Ok(Volume { source, point })
}

fn sub_path(mount: &Mount) -> &str {
    mount.source_layer_path.trim_matches('/')
}

/// What the volume shows. Links in the image are followed inside of it.
fn find(image: &Root, mount: &Mount) -> Result<OwnedFd> {
    image.handle(sub_path(mount).as_bytes()).map_err(|e| {
        let object = format!("{:?} of the image for {}", mount.source_layer_path, mount.destination);
        failure::kernel("find", object, e)
    })
}

/// Names the step as the daemon knows it: kubelet is told of volumes from images in its own way.
pub fn of_image_volume(failure: Failure) -> Failure {
    Failure { step: "mount image volume".into(), ..failure }
}
