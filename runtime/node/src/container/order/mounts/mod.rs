// SPDX-License-Identifier: Apache-2.0
//! The mounts of a container: the default ones of a Linux system, the pod's files, then the request's.
//!
//! A mount of the request replaces a default one at the same path; one at `/dev` or `/sys` also replaces everything below.
//! The request's mounts are sorted by depth, so that `/a` comes before `/a/b`, and otherwise keep their order. The image's
//! volumes are added at paths where nothing else is mounted.

mod of_devices;
mod requested;
mod usual;
mod volumes;

use super::facts::Facts;
use super::security;
use crate::container::Record;
use crate::error::Result;
use crate::pod::Pod;
use gorae_order::mounts::{Mount, Propagation};
use gorae_order::namespaces::IdMaps;
use gorae_proto::cri::{self, MountPropagation};

/// Builds the whole list, in the order in which the mounts are made; `id_maps` are the pod's.
///
/// # Errors
/// `InvalidArgument` with the mount's destination.
pub fn build<'a>(record: &'a Record, pod: &Pod, id_maps: Option<&IdMaps>, facts: &Facts) -> Result<Vec<Mount<'a>>> {
    let security = security::context(&record.config);
    let mut asked = requested::build(record, facts.missing_host_path)?;
    let devices = of_devices::build(&record.cdi.mounts)?;
    asked.retain(|mount| !devices.iter().any(|device| device.destination == mount.destination));
    asked.extend(devices);
    asked.sort_by_key(Mount::depth);
    let mut usual = usual::build(pod, &facts.places, security.privileged);
    usual.extend(usual::pod_files(pod, &facts.places, id_maps, security.readonly_rootfs));
    usual.retain(|mount| !asked.iter().any(|one| replaces(&one.destination, &mount.destination)));
    volumes::add(&mut usual, &mut asked, volumes::build(record, id_maps, &facts.places)?);
    usual.extend(asked);
    Ok(usual)
}

/// The propagation that the mounts need from the root.
pub fn root_propagation(asked: &[cri::Mount]) -> Propagation {
    let any = |propagation: MountPropagation| asked.iter().any(|mount| mount.propagation() == propagation);
    if any(MountPropagation::PropagationBidirectional) {
        Propagation::Shared
    } else if any(MountPropagation::PropagationHostToContainer) {
        Propagation::Slave
    } else {
        Propagation::Private
    }
}

fn replaces(asked: &str, usual: &str) -> bool {
    let is_below = |dir: &str| asked == dir && usual.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
    asked == usual || is_below("/dev") || is_below("/sys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_request_replaces_the_usual_one() {
        assert!(replaces("/dev", "/dev/pts") && replaces("/dev", "/dev") && replaces("/sys", "/sys/fs/cgroup"));
        assert!(!replaces("/dev", "/device") && !replaces("/proc", "/proc/x") && !replaces("/dev/shm", "/dev"));
    }
}
