// SPDX-License-Identifier: Apache-2.0
//! The images of a new container: the one it is made from, and those that it mounts as volumes. Each is held for the
//! container, so that their layers cannot be removed.

use super::order::resolve::ImageDefaults;
use super::{Image, ImageMount};
use crate::disk;
use crate::error::{Error, IMAGE_VOLUME_FAILED, Result};
use crate::ids::ContainerId;
use gorae_image_service::Images;
use gorae_proto::cri;
use oci_spec::image::ImageConfiguration;
use std::path::PathBuf;

/// Holds the image that a request names. Returns what the container's record keeps of it, and the defaults that it sets.
///
/// # Errors
/// `InvalidArgument` when the request names none; `NotFound` when the image is not on the node.
pub fn hold(images: &Images, id: &ContainerId, config: &cri::ContainerConfig) -> Result<(Image, ImageDefaults)> {
    let asked = config.image.as_ref().map(|i| i.image.clone()).unwrap_or_default();
    if asked.is_empty() {
        return Err(Error::invalid("image is not set"));
    }
    let held = disk::blocking(|| images.hold(&asked, id))?;
    Ok((describe(images, &held.image_id, asked, held.layers)?, defaults(&held.config)))
}

/// `NotFound` when the image was just removed.
fn describe(images: &Images, image_id: &str, asked: String, layers: Vec<PathBuf>) -> Result<Image> {
    let image = images
        .find(image_id)?
        .ok_or_else(|| Error::not_found(format!("image {asked:?} does not exist on this node; pull it first")))?;
    Ok(Image {
        id: image.id.clone(),
        reference: image.repo_digests.first().cloned().unwrap_or_else(|| image.id.clone()),
        name: image.repo_tags.first().cloned().unwrap_or(asked),
        layers,
    })
}

fn defaults(config: &ImageConfiguration) -> ImageDefaults {
    let Some(config) = config.config() else { return ImageDefaults::default() };
    ImageDefaults {
        entrypoint: config.entrypoint().clone().unwrap_or_default(),
        cmd: config.cmd().clone().unwrap_or_default(),
        env: config.env().clone().unwrap_or_default(),
        cwd: config.working_dir().clone().unwrap_or_default(),
        user: config.user().clone().unwrap_or_default(),
        stop_signal: config.stop_signal().clone().unwrap_or_default(),
        volumes: config.volumes().clone().unwrap_or_default(),
    }
}

/// Holds the images that the request mounts as volumes.
///
/// # Errors
/// `NotFound`, with the mount's destination, for an image that is not on the node.
pub fn hold_volumes(images: &Images, id: &ContainerId, config: &cri::ContainerConfig) -> Result<Vec<ImageMount>> {
    let mut list = Vec::new();
    for (index, mount) in config.mounts.iter().enumerate() {
        let Some(image) = &mount.image else { continue };
        let held = disk::blocking(|| images.hold(&image.image, id)).map_err(|e| {
            Error::from(e).during(format!("mount at {:?}", mount.container_path)).beginning_with(IMAGE_VOLUME_FAILED)
        })?;
        list.push(ImageMount { index, id: held.image_id, layers: held.layers });
    }
    Ok(list)
}
