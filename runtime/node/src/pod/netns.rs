// SPDX-License-Identifier: Apache-2.0
//! Where the network namespaces of pods are, for agents of the node: network plugins' daemons, device drivers, `ip netns`.
//!
//! They look below `/run/netns`, and many of them see it through a mount of that directory into a pod of theirs. So it is
//! made as `ip netns add` makes it, with mounts that reach them, and files are never left behind there: a plain file where
//! a namespace should be makes network plugins fail.

use super::Record;
use crate::error::{Error, Result};
use crate::ids::PodId;
use crate::places::Places;
use gorae_attachments::netns::is_there;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_bind_recursive, mount_change};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The directory.
const DIRECTORY: &str = "/run/netns";
/// The same, as both peers hand it out: agents that mount only this one find the file, and others follow the link.
const NAMED: &str = "/var/run/netns";
/// What the names of our files begin with.
const PREFIX: &str = "cni-";
/// How long a file may be there before the namespace is mounted on it.
const NEW: Duration = Duration::from_secs(10);

/// The file of a new pod's network namespace: named like a UUID, and as random as the pod's id.
pub fn path(id: &PodId) -> PathBuf {
    let id = id.as_str();
    let parts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]];
    Path::new(DIRECTORY).join(format!("{PREFIX}{}", parts.join("-")))
}

/// The files of all pods that have a directory here, in whatever network and state: also of those that are just made, whose
/// directories come first. It reads those directories, so call it where blocking is allowed.
pub fn all(places: &Places) -> HashSet<PathBuf> {
    let below = |root: &Path| fs::read_dir(root.join("pods")).into_iter().flatten().flatten();
    let names = below(&places.root).chain(below(&places.state)).map(|entry| entry.file_name());
    names.filter_map(|name| PodId::parse(name.to_str()?)).map(|id| path(&id)).collect()
}

/// The text for agents.
pub fn named(path: &Path) -> String {
    match path.strip_prefix(DIRECTORY) {
        Ok(name) if Path::new(NAMED).exists() => Path::new(NAMED).join(name).to_string_lossy().into_owned(),
        _ => path.to_string_lossy().into_owned(),
    }
}

/// Makes the directory, whose mounts reach its copies in other mount namespaces. It can be repeated.
///
/// # Errors
/// The kernel's, with the directory.
pub fn make() -> Result<()> {
    let path = Path::new(DIRECTORY);
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|e| Error::io("make directory", path, &e))?;
    share(path).map_err(|errno| Error::io("share the mounts of", path, &errno.into()))
}

/// Makes the directory, and removes plain files of ours from it, which an unclean end has left there.
///
/// # Errors
/// The kernel's, with the directory.
pub fn prepare() -> Result<()> {
    make()?;
    if hidden().is_some() {
        // What looks like a plain file from here may be a mount on the node.
        return Ok(());
    }
    let path = Path::new(DIRECTORY);
    let files = fs::read_dir(path).map_err(|e| Error::io("list", path, &e))?;
    for file in files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with(PREFIX)) {
        // A new one belongs to a pod that another daemon is making.
        let is_new =
            file.metadata().and_then(|found| found.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age < NEW));
        if is_there(&file.path()) || is_new {
            continue;
        }
        // Somebody's directory, for one, is no reason for a node not to start.
        match fs::remove_file(file.path()) {
            Ok(()) => {
                tracing::info!(file = %file.path().display(), "the file of a network namespace that is gone is removed")
            }
            Err(error) => {
                tracing::warn!(file = %file.path().display(), %error, "cannot remove what is not a network namespace")
            }
        }
    }
    Ok(())
}

/// Pins the pod's network namespace, if the shim that made the pod has pinned it with the others: that of an earlier build,
/// which an upgrade has left in place.
///
/// # Errors
/// The kernel's.
pub fn pin_if_missing(record: &Record, run_dir: &Path) -> Result<()> {
    let Some(path) = record.netns.as_deref().filter(|path| !is_there(path)) else { return Ok(()) };
    let pinned = run_dir.join("ns/net");
    fs::File::create(path).map_err(|e| Error::io("make", path, &e))?;
    mount_bind(&pinned, path).map_err(|errno| Error::io("pin the network namespace at", path, &errno.into()))
}

/// Removes the pod's file, which the shim of an earlier build has left. It can be repeated.
///
/// # Errors
/// The kernel's.
pub fn remove(record: &Record) -> Result<()> {
    let Some(path) = &record.netns else { return Ok(()) };
    gorae_attachments::netns::remove(path).map_err(|e| Error::io("remove", path, &e))
}

/// Why agents on the node cannot see the files, if that is so: this process has a mount namespace of its own, as systemd makes
/// for a unit with `PrivateTmp=`, `ProtectSystem=` and their kin.
pub fn hidden() -> Option<String> {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let (own, nodes) = (of("self")?, of("1")?);
    (own != nodes).then(|| {
        format!(
            "goraed has mounts of its own, so the node's agents see nothing of the pods' network namespaces in {DIRECTORY}; \
             remove PrivateTmp, PrivateMounts, Protect* and the like from its unit"
        )
    })
}

/// Makes mounts below the directory reach its copies in other mount namespaces.
fn share(path: &Path) -> std::result::Result<(), Errno> {
    let shared = || mount_change(path, MountPropagationFlags::SHARED | MountPropagationFlags::REC);
    match shared() {
        // It is no mount point yet.
        Err(Errno::INVAL) => {
            // With what is mounted below it: others have pins there already.
            mount_bind_recursive(path, path)?;
            shared()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_all_pods_are_known_from_their_directories() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = Places { root: dir.path().join("root"), state: dir.path().join("state") };
        assert!(all(&places).is_empty());
        let (a, b) = (PodId::of_digit('a'), PodId::of_digit('b'));
        for made in [places.pod_root(&a), places.pod_run(&a), places.pod_run(&b), places.root.join("pods/other")] {
            fs::create_dir_all(made).expect("made");
        }
        assert_eq!(all(&places), HashSet::from([path(&a), path(&b)]));
    }

    #[test]
    fn a_namespace_has_a_name_like_those_of_others() {
        let path = path(&PodId::of_digit('a'));
        assert_eq!(path.to_str(), Some("/run/netns/cni-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"));
        assert!(named(&path).ends_with("run/netns/cni-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"));
        assert_eq!(named(Path::new("/x/y")), "/x/y");
    }
}
