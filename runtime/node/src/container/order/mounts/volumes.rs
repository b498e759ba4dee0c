// SPDX-License-Identifier: Apache-2.0
//! The volumes that the image declares: mounts of the container's own directories, at paths where nothing else is
//! mounted.
//!
//! The shim fills them from the image. They are numbered by the image's own list, even if the request mounts over some of
//! them, so that a container that takes over another's files finds each volume again.

use crate::container::Record;
use crate::error::{Error, Result};
use crate::places::Places;
use gorae_order::mounts::{Attributes, Mount, Source};
use gorae_order::namespaces::IdMaps;

/// Builds the mount of each volume of the image, as if nothing else were mounted.
///
/// # Errors
/// `InvalidArgument` for the root itself.
pub(super) fn build<'a>(record: &Record, id_maps: Option<&IdMaps>, places: &Places) -> Result<Vec<Mount<'a>>> {
    let home = places.container_root(&record.id).join("volumes");
    let one = |(number, destination): (usize, &String)| {
        if destination == "/" {
            return Err(Error::invalid("the image declares its root as a volume, which cannot be mounted over"));
        }
        let path = home.join(number.to_string()).to_string_lossy().into_owned();
        let source = Source::Volume { path, id_maps: id_maps.cloned() };
        Ok(Mount { destination: destination.clone(), source, attributes: Attributes::default() })
    };
    record.process.volumes.iter().enumerate().map(one).collect()
}

/// Adds the volumes to the mounts: after mounts that contain them, and not at a path that the request mounts over. If a
/// symlink gives a path two names, only the shim can see that.
pub(super) fn add<'a>(usual: &mut Vec<Mount<'a>>, asked: &mut Vec<Mount<'a>>, volumes: Vec<Mount<'a>>) {
    let is_free = |volume: &Mount<'_>| !usual.iter().chain(&*asked).any(|m| m.destination == volume.destination);
    let free = volumes.into_iter().filter(is_free);
    let is_below_asked = |volume: &Mount<'_>| asked.iter().any(|m| is_below(&m.destination, &volume.destination));
    let (mut deep, mut own): (Vec<Mount<'a>>, Vec<Mount<'a>>) = free.partition(is_below_asked);
    for (volumes, mounts) in [(&mut own, usual), (&mut deep, asked)] {
        if !volumes.is_empty() {
            volumes.append(mounts);
            volumes.sort_by_key(Mount::depth);
            *mounts = std::mem::take(volumes);
        }
    }
}

fn is_below(dir: &str, path: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_order::mounts::Bind;

    fn bound(path: &str, destination: &str) -> Mount<'static> {
        let source = Source::Bind(Bind::of(path));
        Mount { destination: destination.into(), source, attributes: Attributes::default() }
    }

    #[test]
    fn a_volume_stands_in_what_contains_it_and_under_what_is_asked_for() {
        let list = |source, paths: &[&str]| paths.iter().map(|path| bound(source, path)).collect::<Vec<_>>();
        let mut usual = list("usual", &["/proc", "/dev", "/dev/shm", "/sys", "/etc/hosts"]);
        let mut asked = list("asked", &["/data", "/etc/certs", "/srv/www"]);
        let volumes = ["/data", "/data/db", "/etc", "/srv", "/srv/www", "/dev/shm", "/dev/own", "/database"];
        add(&mut usual, &mut asked, list("volume", &volumes));
        let told = |mounts: &[Mount<'_>]| -> Vec<_> {
            let path = |mount: &Mount<'_>| match &mount.source {
                Source::Bind(bind) => bind.path.clone(),
                other => panic!("{other:?}"),
            };
            mounts.iter().map(|mount| format!("{}:{}", path(mount), mount.destination)).collect()
        };
        let first = ["volume:/etc", "volume:/srv", "volume:/database", "usual:/proc", "usual:/dev", "usual:/sys"];
        let then = ["volume:/dev/own", "usual:/dev/shm", "usual:/etc/hosts"];
        assert_eq!(told(&usual), [&first[..], &then[..]].concat());
        assert_eq!(told(&asked), ["asked:/data", "volume:/data/db", "asked:/etc/certs", "asked:/srv/www"]);
    }

    #[test]
    fn a_request_for_an_image_without_volumes_is_left_as_it_is() {
        let (mut usual, mut asked) = (vec![bound("u", "/b/b"), bound("u", "/a")], Vec::new());
        add(&mut usual, &mut asked, Vec::new());
        assert_eq!(usual[0].destination, "/b/b");
    }
}
