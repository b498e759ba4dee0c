// SPDX-License-Identifier: Apache-2.0
//! Images as volumes: their layers at a path of the container, whole or only one directory or file, read-only.

use super::plan::Source;
use crate::failure::{self, Failure, Result};
use crate::malformed::{self, absolute, each};
use crate::order::{Image, Mount};
use crate::overlay;
use crate::rootfs::{Point, Root, is_dir};
use crate::sys::Single;
use crate::tree::{Reach, set_attributes};
use crate::wire::{self, LookInImages};
use rustix::mount::MountAttrFlags;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// An image volume, ready to be attached.
#[derive(Debug)]
pub struct Volume<'a> {
    /// The mount.
    pub source: Source<'a>,
    /// What it needs as a mount point.
    pub point: Point,
}

/// Mounts the layers, attached nowhere, and checks the part that is shown.
///
/// # Errors
/// `NotFound` for a path that the image does not have.
pub fn prepare<'a>(
    mount: &Mount,
    image: &'a Image,
    run_dir: &'a Path,
    user_namespace: Option<BorrowedFd<'_>>,
    single: Single,
) -> Result<Volume<'a>> {
    prepare_any(mount, image, run_dir, user_namespace, single).map_err(of_image_volume)
}

/// Checks that each volume's path is in its image; the container is not created otherwise.
///
/// # Errors
/// `InvalidArgument` for an invalid volume; otherwise the error of a start, for the first that cannot be mounted.
pub fn look_in_images(request: LookInImages, single: Single) -> Result<()> {
    let checked = |mut mount: wire::Mount| -> malformed::Result<(String, Image)> {
        let destination = absolute("destination", std::mem::take(&mut mount.destination))?;
        Ok((destination, Image::checked(mount)?))
    };
    each("volumes", request.volumes, checked)?.iter().try_for_each(|(destination, image)| {
        let tree = overlay::read_only(&image.layers, None, single);
        let found = tree.and_then(|tree| find(&Root::new(tree), image, destination));
        found.map(drop).map_err(of_image_volume)
    })
}

fn prepare_any<'a>(
    mount: &Mount,
    image: &'a Image,
    run_dir: &'a Path,
    user_namespace: Option<BorrowedFd<'_>>,
    single: Single,
) -> Result<Volume<'a>> {
    let tree = overlay::read_only(&image.layers, user_namespace, single)?;
    let attributes = mount.attributes | MountAttrFlags::MOUNT_ATTR_RDONLY;
    set_attributes(&tree, Reach::Top, attributes, &mount.destination)?;
    if image.path.is_empty() {
        return Ok(Volume { source: Source::Tree(tree), point: Point::Directory });
    }
    let root = Root::new(tree);
    let point = if is_dir(find(&root, image, &mount.destination)?) { Point::Directory } else { Point::File };
    let source = Source::SubPath { overlay: root.into_fd(), sub_path: &image.path, scratch: run_dir };
    Ok(Volume { source, point })
}

/// Opens the part that the volume shows. Links in the image are followed inside it.
fn find(root: &Root, image: &Image, destination: &str) -> Result<OwnedFd> {
    root.handle(image.path.as_bytes()).map_err(|e| {
        let object = format!("{:?} of the image for {destination}", image.path);
        failure::kernel("find", object, e)
    })
}

/// Names the step as the daemon knows it: it reports failures of image volumes to kubelet in a special form.
pub fn of_image_volume(failure: Failure) -> Failure {
    Failure { step: gorae_proto::IMAGE_VOLUME_STEP.into(), ..failure }
}
