// SPDX-License-Identifier: Apache-2.0
//! The files: `ROOT/networks/ID` for each network, `ROOT/networks/members/POD` for the places of each pod.
//!
//! All are on the disk once a write or a removal returns: a power cut leaves no address that two pods have.

use crate::error::{Error, Result};
use crate::member::{self, Pod};
use crate::network::{self, Network};
use gorae_kernel::checked::{self, Unusable};
use gorae_kernel::record_file::{self, Durability};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The largest record that is read and written.
const MAX_RECORD: u64 = 1 << 20;
const MEMBERS: &str = "members";

/// The directory of the records.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What the directory holds.
#[derive(Debug, Default)]
pub struct Stored {
    /// The networks.
    pub networks: Vec<Network>,
    /// The pods with places in networks.
    pub pods: Vec<Pod>,
    /// Records of networks that cannot be used: the id, the file and the reason.
    pub damaged: Vec<(String, PathBuf, String)>,
    /// The same of pods.
    pub damaged_pods: Vec<(String, PathBuf, String)>,
}

impl Store {
    /// Makes the directories, which only root can enter. Blocking, as all methods without `async`.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn open(root: PathBuf) -> Result<Self> {
        let members = root.join(MEMBERS);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&members);
        made.map_err(|source| Error::Record { what: "make directory", path: members, source })?;
        Ok(Self { root })
    }

    /// Reads all records, and removes what a write that was cut off has left.
    ///
    /// # Errors
    /// [`Error::Record`] when one cannot be read now; [`Error::Foreign`].
    pub fn load(&self) -> Result<Stored> {
        let mut stored = Stored::default();
        for (id, path) in files(&self.root)? {
            match read::<Network>(&path, network::KIND, network::VERSION, |network| network.id == id)? {
                Ok(network) => stored.networks.push(network),
                Err(why) => stored.damaged.push((id, path, why)),
            }
        }
        for (id, path) in files(&self.root.join(MEMBERS))? {
            match read::<Pod>(&path, member::KIND, member::VERSION, |pod| pod.pod_id == id)? {
                Ok(pod) => stored.pods.push(pod),
                Err(why) => stored.damaged_pods.push((id, path, why)),
            }
        }
        Ok(stored)
    }

    /// Writes the record of a network.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub async fn write_network(&self, network: &Network) -> Result<()> {
        write(self.root.clone(), &network.id, network::KIND, network::VERSION, network).await
    }

    /// Removes the record of a network. It can be repeated.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub async fn remove_network(&self, id: &str) -> Result<()> {
        remove(self.root.clone(), id).await
    }

    /// Writes the record of a pod.
    ///
    /// # Errors
    /// [`Error::Record`]; [`Error::Invalid`] for an id that cannot be the name of a file.
    pub async fn write_pod(&self, pod: &Pod) -> Result<()> {
        check_pod_id(&pod.pod_id)?;
        write(self.root.join(MEMBERS), &pod.pod_id, member::KIND, member::VERSION, pod).await
    }

    /// Removes the record of a pod. It can be repeated.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub async fn remove_pod(&self, pod_id: &str) -> Result<()> {
        check_pod_id(pod_id)?;
        remove(self.root.join(MEMBERS), pod_id).await
    }
}

/// Ids of pods are names of files here.
fn check_pod_id(id: &str) -> Result<()> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let fits = (1..=128).contains(&id.len()) && plain;
    if fits { Ok(()) } else { Err(Error::invalid("pod id", id, "is not 1 to 128 letters, digits, \"-\" or \"_\"")) }
}

/// The records in a directory, by name.
fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let fail = |source| Error::Record { what: "list", path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.ends_with(".tmp") {
            let _ = fs::remove_file(entry.path());
        } else if entry.file_type().map_err(fail)?.is_file() && check_pod_id(&name).is_ok() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads one record; the inner error says how it is damaged.
fn read<T: DeserializeOwned>(
    path: &Path,
    kind: &'static str,
    version: u32,
    is_own: impl FnOnce(&T) -> bool,
) -> Result<std::result::Result<T, String>> {
    let bytes = match record_file::read_bounded(path, MAX_RECORD) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Err("it is larger than any record".to_owned())),
        Err(source) => return Err(Error::Record { what: "read", path: path.to_owned(), source }),
    };
    let parse = |body: &[u8]| {
        let record: T = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if is_own(&record) { Ok(record) } else { Err("it belongs to another object".to_owned()) }
    };
    match checked::read(path, kind, version, &bytes, parse) {
        Ok(record) => Ok(Ok(record)),
        Err(Unusable::Damaged(why)) => Ok(Err(why.to_string())),
        Err(Unusable::Foreign(foreign)) => Err(Error::Foreign(foreign)),
    }
}

async fn write(dir: PathBuf, name: &str, kind: &'static str, version: u32, record: &impl Serialize) -> Result<()> {
    let body = serde_json::to_vec(record).map_err(io::Error::from);
    on_disk("write record", dir, name, move |dir, name| {
        let bytes = checked::encode(kind, version, &body?);
        if bytes.len() as u64 > MAX_RECORD {
            let why = format!("it would be larger than {MAX_RECORD} bytes");
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        record_file::replace(dir, name, &bytes, Durability::PowerCut)
    })
    .await
}

async fn remove(dir: PathBuf, name: &str) -> Result<()> {
    on_disk("remove record", dir, name, |dir, name| match fs::remove_file(dir.join(name)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        Err(_) => Ok(()),
        Ok(()) => File::open(dir)?.sync_all(),
    })
    .await
}

/// Works on a file, on a thread that may wait for the disk.
async fn on_disk(
    what: &'static str,
    dir: PathBuf,
    name: &str,
    work: impl FnOnce(&Path, &str) -> io::Result<()> + Send + 'static,
) -> Result<()> {
    let (path, name) = (dir.join(name), name.to_owned());
    let done = tokio::task::spawn_blocking(move || work(&dir, &name)).await;
    let done = done.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    done.map_err(|source| Error::Record { what, path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(id: &str) -> Pod {
        Pod { pod_id: id.into(), netns: None, besides: crate::member::Besides::Nothing, places: Vec::new() }
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_what_was_removed_is_not() {
        let root = tempfile::tempdir().expect("directory");
        let store = Store::open(root.path().join("networks")).expect("made");
        store.write_pod(&pod("a")).await.expect("written");
        store.write_pod(&pod("b")).await.expect("written");
        for _ in 0..2 {
            store.remove_pod("a").await.expect("removed");
        }
        fs::write(root.path().join("networks/members/c.tmp"), "torn").expect("writable");
        let stored = store.load().expect("readable");
        assert_eq!(stored.pods, [pod("b")]);
        assert!(!root.path().join("networks/members/c.tmp").exists());
        for bad in ["", "..", "a/b", &"x".repeat(129)] {
            assert!(store.write_pod(&pod(bad)).await.is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_damaged_record_is_told_apart_from_one_of_another_program() {
        let root = tempfile::tempdir().expect("directory");
        let store = Store::open(root.path().to_owned()).expect("made");
        store.write_pod(&pod("a")).await.expect("written");
        let file = root.path().join("members/a");
        let mut bytes = fs::read(&file).expect("readable");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(&file, bytes).expect("writable");
        fs::write(root.path().join("f".repeat(64)), "?").expect("writable");
        let stored = store.load().expect("readable");
        assert_eq!((stored.damaged.len(), stored.damaged_pods.len()), (1, 1));
        assert!(stored.damaged_pods[0].2.contains("checksum"), "{stored:?}");
        let bytes = checked::encode(member::KIND, member::VERSION + 1, b"{}");
        fs::write(&file, bytes).expect("writable");
        assert!(matches!(store.load(), Err(Error::Foreign(_))));
        let other = checked::encode(member::KIND, member::VERSION, &serde_json::to_vec(&pod("b")).expect("JSON"));
        fs::write(&file, other).expect("writable");
        assert!(matches!(store.load(), Err(Error::Foreign(_))), "a record of another pod");
    }
}
