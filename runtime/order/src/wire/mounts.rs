// SPDX-License-Identifier: Apache-2.0
//! The root file system and the mounts below it.

use super::namespaces::id_maps;
use super::text::{paths, text};
use crate::mounts::{Access, Attributes, Bind, Mount, Propagation, Source};
use crate::namespaces::IdMaps;
use crate::order::Root;
use gorae_proto::shim;

pub(super) fn root(root: &Root<'_>) -> shim::Rootfs {
    let propagation = match root.propagation {
        Propagation::Private => "private",
        Propagation::Slave => "slave",
        Propagation::Shared => "shared",
    };
    shim::Rootfs {
        layers: paths(root.layers),
        readonly: root.readonly,
        propagation: propagation.into(),
        directories: root.directories.to_vec(),
    }
}

pub(super) fn mount(mount: Mount<'_>) -> shim::Mount {
    let Mount { destination, source, attributes } = mount;
    let Attributes { access, nosuid, nodev, noexec } = attributes;
    let bind = if let Source::Bind(bind) = &source { Some(bind) } else { None };
    let image = if let Source::Image(volume) = &source { Some(volume) } else { None };
    let owners = owners(&source);
    shim::Mount {
        destination,
        source: from(&source).to_owned(),
        filesystem: filesystem(&source).into(),
        data: options(&source).into(),
        readonly: access != Access::ReadWrite,
        recursive_readonly: access == Access::ReadOnlyBelow,
        nosuid,
        nodev,
        noexec,
        propagation: propagation(bind.map_or(Propagation::Private, |bind| bind.propagation)).into(),
        recursive_bind: bind.is_some_and(|bind| bind.recursive),
        create_source: bind.is_some_and(|bind| bind.make_missing),
        uid_mappings: owners.map_or_else(Vec::new, |maps| id_maps(&maps.uids)),
        gid_mappings: owners.map_or_else(Vec::new, |maps| id_maps(&maps.gids)),
        source_layer_path: text(image.and_then(|volume| volume.path)),
        image_layers: image.map_or_else(Vec::new, |volume| paths(volume.layers)),
    }
}

/// The wire's word for what is mounted.
fn filesystem(source: &Source<'_>) -> &'static str {
    match source {
        Source::Bind(_) => "bind",
        Source::Volume { .. } => "volume",
        Source::Image(_) => "image",
        Source::Tmpfs { .. } => "tmpfs",
        Source::Proc => "proc",
        Source::Sysfs => "sysfs",
        Source::Devpts { .. } => "devpts",
        Source::Mqueue => "mqueue",
        Source::Cgroup => "cgroup",
    }
}

/// The source field: a path of the node, or a file system's own name. An image volume has its layers instead.
fn from<'s>(source: &'s Source<'_>) -> &'s str {
    match source {
        Source::Bind(bind) => &bind.path,
        Source::Volume { path, .. } => path,
        Source::Image(_) => "",
        _ => filesystem(source),
    }
}

fn options<'s>(source: &'s Source<'_>) -> &'s str {
    match source {
        Source::Tmpfs { options } | Source::Devpts { options } => options,
        _ => "",
    }
}

fn owners<'s>(source: &'s Source<'_>) -> Option<&'s IdMaps> {
    match source {
        Source::Bind(Bind { id_maps, .. }) | Source::Volume { id_maps, .. } => id_maps.as_ref(),
        _ => None,
    }
}

fn propagation(of: Propagation) -> shim::mount::Propagation {
    match of {
        Propagation::Private => shim::mount::Propagation::Private,
        Propagation::Slave => shim::mount::Propagation::Slave,
        Propagation::Shared => shim::mount::Propagation::Shared,
    }
}
