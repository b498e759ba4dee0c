// SPDX-License-Identifier: Apache-2.0
//! The volumes that the image declares: mounts of directories that are the container's own, where nothing else is
//! mounted.
//!
//! The shim fills them from the image. They are numbered in the image's own list, whatever the request covers of it, so
//! that a container that goes on with another's files finds each again.

use super::{Context, depth, host_bind};
use crate::container::Record;
use crate::error::{Error, Result};
use crate::pod::Pod;
use gorae_proto::shim::Mount;

/// Each volume of the image, as if nothing else were mounted.
///
/// # Errors
/// `InvalidArgument` for the root itself.
pub(super) fn build(record: &Record, pod: &Pod, node: &Context) -> Result<Vec<Mount>> {
    let home = node.places.container_root(&record.id).join("volumes");
    let maps = pod.user_mapping().unwrap_or_default();
    let one = |(number, destination): (usize, &String)| {
        if destination == "/" {
            return Err(Error::invalid("the image declares its root as a volume, which cannot be mounted over"));
        }
        let source = home.join(number.to_string());
        Ok(Mount {
            filesystem: "volume".into(),
            recursive_bind: false,
            uid_mappings: maps.uids.clone(),
            gid_mappings: maps.gids.clone(),
            ..host_bind(&source.to_string_lossy(), destination)
        })
    };
    record.process.volumes.iter().enumerate().map(one).collect()
}

/// Puts the volumes among the mounts: below what contains them, above the image, and under whatever is asked for at the
/// same place. Two names for a place that a link makes are seen by the shim.
pub(super) fn add(usual: &mut Vec<Mount>, asked: &mut Vec<Mount>, volumes: Vec<Mount>) {
    let is_free = |volume: &Mount| !usual.iter().chain(&*asked).any(|m| m.destination == volume.destination);
    let free = volumes.into_iter().filter(is_free);
    let is_below_asked = |volume: &Mount| asked.iter().any(|m| is_below(&m.destination, &volume.destination));
    let (mut deep, mut own): (Vec<Mount>, Vec<Mount>) = free.partition(is_below_asked);
    for (volumes, mounts) in [(&mut own, usual), (&mut deep, asked)] {
        if !volumes.is_empty() {
            volumes.append(mounts);
            volumes.sort_by_key(depth);
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

    #[test]
    fn a_volume_stands_in_what_contains_it_and_under_what_is_asked_for() {
        let list = |source, paths: &[&str]| paths.iter().map(|path| host_bind(source, path)).collect::<Vec<_>>();
        let mut usual = list("usual", &["/proc", "/dev", "/dev/shm", "/sys", "/etc/hosts"]);
        let mut asked = list("asked", &["/data", "/etc/certs", "/srv/www"]);
        let volumes = ["/data", "/data/db", "/etc", "/srv", "/srv/www", "/dev/shm", "/dev/own", "/database"];
        add(&mut usual, &mut asked, list("volume", &volumes));
        let told =
            |mounts: &[Mount]| -> Vec<_> { mounts.iter().map(|m| format!("{}:{}", m.source, m.destination)).collect() };
        let first = ["volume:/etc", "volume:/srv", "volume:/database", "usual:/proc", "usual:/dev", "usual:/sys"];
        let then = ["volume:/dev/own", "usual:/dev/shm", "usual:/etc/hosts"];
        assert_eq!(told(&usual), [&first[..], &then[..]].concat());
        assert_eq!(told(&asked), ["asked:/data", "volume:/data/db", "asked:/etc/certs", "asked:/srv/www"]);
    }

    #[test]
    fn a_request_for_an_image_without_volumes_is_left_as_it_is() {
        let (mut usual, mut asked) = (vec![host_bind("u", "/b/b"), host_bind("u", "/a")], Vec::new());
        add(&mut usual, &mut asked, Vec::new());
        assert_eq!(usual[0].destination, "/b/b");
    }
}
