// SPDX-License-Identifier: Apache-2.0
//! The mounts of a request: files and directories of the node, and images as volumes.

use crate::container::Record;
use crate::container::order::paths;
use crate::error::{Error, IMAGE_VOLUME_FAILED, Result};
use crate::settings::MissingHostPath;
use gorae_order::mounts::{Access, Attributes, Bind, ImageVolume, Mount, Propagation, Source};
use gorae_order::namespaces::{IdMap, IdMaps};
use gorae_proto::cri::{self, MountPropagation};

/// Largest number of mounts in one request.
const MAX_MOUNTS: usize = 4096;

/// Builds all of them, in the request's order.
///
/// # Errors
/// `InvalidArgument` with the mount's destination.
pub(super) fn build(record: &Record, missing: MissingHostPath) -> Result<Vec<Mount<'_>>> {
    let asked = &record.config.mounts;
    if asked.len() > MAX_MOUNTS {
        return Err(Error::invalid(format!("mounts: more than {MAX_MOUNTS}")));
    }
    let at = |mount: &cri::Mount| format!("mount at {:?}", mount.container_path);
    let one = |(index, mount)| one(record, index, mount, missing).map_err(|e| e.during(at(mount)));
    asked.iter().enumerate().map(one).collect()
}

fn one<'a>(record: &'a Record, index: usize, mount: &'a cri::Mount, missing: MissingHostPath) -> Result<Mount<'a>> {
    let destination = paths::clean("container_path", &mount.container_path)?;
    if destination == "/" {
        return Err(Error::invalid("container_path: the root itself cannot be mounted over"));
    }
    let attributes = Attributes { access: access(mount)?, ..options(&mount.mount_options)? };
    let propagation = propagation(mount)?;
    let id_maps = id_maps(mount)?;
    let source = if mount.image.is_some() {
        let volume = image_volume(record, index, mount);
        Source::Image(volume.map_err(|e| e.beginning_with(IMAGE_VOLUME_FAILED))?)
    } else {
        // It existed, or was made, at create: if it has vanished since, it is made again.
        let make_missing = missing == MissingHostPath::Create;
        Source::Bind(Bind { propagation, id_maps, make_missing, ..Bind::of(host_path(mount)?) })
    };
    Ok(Mount { destination, source, attributes })
}

/// With a host path, `image_sub_path` is ignored: kubelet 1.36 sends the volume's subPath in it, which `host_path` already
/// includes.
fn host_path(mount: &cri::Mount) -> Result<&str> {
    if !mount.host_path.starts_with('/') || mount.host_path.contains('\0') {
        let shown = &mount.host_path[..mount.host_path.floor_char_boundary(200)];
        return Err(Error::invalid(format!("host_path: {shown:?} is not an absolute path")));
    }
    Ok(&mount.host_path)
}

fn image_volume<'a>(record: &'a Record, index: usize, mount: &'a cri::Mount) -> Result<ImageVolume<'a>> {
    if !mount.host_path.is_empty() {
        return Err(Error::invalid("host_path and image are both set"));
    }
    if !mount.readonly {
        return Err(Error::invalid("an image volume must be readonly"));
    }
    if mount.image_sub_path.split('/').any(|p| p == "..") || mount.image_sub_path.contains('\0') {
        return Err(Error::invalid(format!("image_sub_path: {:?} leaves the image", mount.image_sub_path)));
    }
    let resolved = record.image_mounts.iter().find(|resolved| resolved.index == index);
    let resolved = resolved.ok_or_else(|| Error::internal("the image of the volume was not resolved"))?;
    let path = Some(mount.image_sub_path.as_str()).filter(|path| !path.is_empty());
    Ok(ImageVolume { layers: &resolved.layers, path })
}

fn access(mount: &cri::Mount) -> Result<Access> {
    match (mount.recursive_read_only, mount.readonly) {
        (false, false) => Ok(Access::ReadWrite),
        (false, true) => Ok(Access::ReadOnly),
        (true, false) => Err(Error::invalid("recursive_read_only needs readonly (RROUnsupported)")),
        (true, true) if mount.propagation() != MountPropagation::PropagationPrivate => {
            Err(Error::invalid("recursive_read_only needs private propagation (RROUnsupported)"))
        }
        (true, true) => Ok(Access::ReadOnlyBelow),
    }
}

fn propagation(mount: &cri::Mount) -> Result<Propagation> {
    match MountPropagation::try_from(mount.propagation) {
        Ok(MountPropagation::PropagationPrivate) => Ok(Propagation::Private),
        Ok(MountPropagation::PropagationHostToContainer) => Ok(Propagation::Slave),
        Ok(MountPropagation::PropagationBidirectional) => Ok(Propagation::Shared),
        Err(_) => Err(Error::invalid(format!("propagation: unknown mode {}", mount.propagation))),
    }
}

fn options(asked: &[String]) -> Result<Attributes> {
    let mut attributes = Attributes::default();
    for option in asked {
        match option.as_str() {
            "nosuid" => attributes.nosuid = true,
            "nodev" => attributes.nodev = true,
            "noexec" => attributes.noexec = true,
            other => return Err(Error::invalid(format!("mount_options: {other:?} is not noexec, nodev or nosuid"))),
        }
    }
    Ok(attributes)
}

fn id_maps(mount: &cri::Mount) -> Result<Option<IdMaps>> {
    let uids = id_map_list("uidMappings", &mount.uid_mappings)?;
    let gids = id_map_list("gidMappings", &mount.gid_mappings)?;
    Ok((!uids.is_empty() || !gids.is_empty()).then_some(IdMaps { uids, gids }))
}

fn id_map_list(field: &str, asked: &[cri::IdMapping]) -> Result<Vec<IdMap>> {
    let leaves = || Error::invalid(format!("{field}: a mapping is empty or leaves the range of ids"));
    let one = |map: &cri::IdMapping| IdMap::new(map.container_id, map.host_id, map.length).ok_or_else(leaves);
    asked.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursive_readonly_has_its_conditions() {
        let rro = |readonly, propagation: MountPropagation| {
            let propagation = propagation.into();
            access(&cri::Mount { recursive_read_only: true, readonly, propagation, ..Default::default() })
        };
        assert_eq!(rro(true, MountPropagation::PropagationPrivate).expect("conditions are met"), Access::ReadOnlyBelow);
        for bad in [
            rro(false, MountPropagation::PropagationPrivate),
            rro(true, MountPropagation::PropagationBidirectional),
            rro(true, MountPropagation::PropagationHostToContainer),
        ] {
            assert!(bad.expect_err("refused").to_string().contains("RROUnsupported"));
        }
    }

    #[test]
    fn only_known_mount_options_pass() {
        assert!(options(&["noexec".into(), "nodev".into(), "nosuid".into()]).is_ok_and(|f| f.noexec && f.nodev));
        assert!(options(&["suid".into()]).is_err());
    }
}
