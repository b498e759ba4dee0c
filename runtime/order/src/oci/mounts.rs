// SPDX-License-Identifier: Apache-2.0
//! `mounts`.

use super::object::object;
use crate::mounts::{Access, Attributes, Bind, ImageVolume, Mount, Propagation, Source};
use crate::namespaces::{IdMap, IdMaps};
use serde_json::{Value, json};

/// The source of a mount, in the specification's terms.
struct Written<'a> {
    kind: &'a str,
    source: String,
    options: Vec<String>,
    id_maps: Option<&'a IdMaps>,
}

pub(super) fn write(mount: &Mount<'_>) -> Value {
    let Written { kind, source, mut options, id_maps } = written(&mount.source);
    options.extend(attributes(mount.attributes).map(str::to_owned));
    object([
        ("destination", mount.destination.as_str().into()),
        ("type", kind.into()),
        ("source", source.into()),
        ("options", json!(options)),
        ("uidMappings", id_maps.map_or(Value::Null, |maps| id_mappings(&maps.uids))),
        ("gidMappings", id_maps.map_or(Value::Null, |maps| id_mappings(&maps.gids))),
    ])
}

/// Writes id maps.
pub(super) fn id_mappings(maps: &[IdMap]) -> Value {
    let one = |map: &IdMap| json!({"containerID": map.inside, "hostID": map.outside, "size": map.length});
    maps.iter().map(one).collect()
}

fn written<'a>(source: &'a Source<'a>) -> Written<'a> {
    let new = |kind, options: &str| Written {
        kind,
        source: kind.to_owned(),
        options: options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect(),
        id_maps: None,
    };
    match source {
        Source::Bind(bind) => bound(bind),
        Source::Volume { path, id_maps } => bound_with(path, false, Propagation::Private, id_maps.as_ref()),
        Source::Image(volume) => layers(volume),
        Source::Tmpfs { options } => new("tmpfs", options),
        Source::Proc => new("proc", ""),
        Source::Sysfs => new("sysfs", ""),
        Source::Devpts { options } => new("devpts", options),
        Source::Mqueue => new("mqueue", ""),
        Source::Cgroup => new("cgroup", ""),
    }
}

fn bound(bind: &Bind) -> Written<'_> {
    bound_with(&bind.path, bind.recursive, bind.propagation, bind.id_maps.as_ref())
}

fn bound_with<'a>(path: &str, recursive: bool, propagation: Propagation, id_maps: Option<&'a IdMaps>) -> Written<'a> {
    let bind = if recursive { "rbind" } else { "bind" };
    let idmap = id_maps.map(|_| if recursive { "ridmap" } else { "idmap" });
    let options = [bind, word(propagation)].into_iter().chain(idmap).map(str::to_owned).collect();
    Written { kind: "bind", source: path.to_owned(), options, id_maps }
}

/// The propagation keyword for a mount and all mounts below it.
pub(super) fn word(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "rprivate",
        Propagation::Slave => "rslave",
        Propagation::Shared => "rshared",
    }
}

/// A single layer is bound, because the kernel refuses an overlay of one read-only directory.
fn layers<'a>(volume: &ImageVolume<'_>) -> Written<'a> {
    if let [layer] = volume.layers {
        return bound_with(&layer.to_string_lossy(), false, Propagation::Private, None);
    }
    let escaped = |path: &std::path::PathBuf| {
        path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
    };
    let below = volume.layers.iter().map(escaped).collect::<Vec<_>>().join(":");
    let options = vec![format!("lowerdir={below}")];
    Written { kind: "overlay", source: "overlay".to_owned(), options, id_maps: None }
}

fn attributes(attributes: Attributes) -> impl Iterator<Item = &'static str> {
    let Attributes { access, nosuid, nodev, noexec } = attributes;
    let access = match access {
        Access::ReadWrite => None,
        Access::ReadOnly => Some("ro"),
        Access::ReadOnlyBelow => Some("rro"),
    };
    let flags = [(nosuid, "nosuid"), (nodev, "nodev"), (noexec, "noexec")];
    access.into_iter().chain(flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name))
}
