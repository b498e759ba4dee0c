// SPDX-License-Identifier: Apache-2.0
//! The files: `ROOT/attachments/POD/record`. The directory is also what plugins' runs for the pod lock.

use crate::error::{Error, Result};
use crate::record::{KIND, Phase, Record, VERSION};
use gorae_kernel::checked::{self, Unusable};
use gorae_kernel::record_file::{self, Durability};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The largest record that is read.
const MAX_RECORD: u64 = 16 << 20;
const NAME: &str = "record";

/// The directory of all attachments.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What the directory of one pod holds.
#[derive(Debug)]
pub enum Stored {
    /// A record.
    Record(Box<Record>),
    /// None: nothing was begun, or everything is undone.
    Nothing,
    /// One that cannot be used, and why.
    Damaged(String),
    /// One that is whole, and that another program wrote.
    Foreign(String),
}

impl Store {
    /// Makes the directory, which only root can enter: configurations may hold secrets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(root: PathBuf) -> Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&root);
        made.map_err(|source| Error::Record { what: "make directory", path: root.clone(), source })?;
        Ok(Self { root })
    }

    /// The directory of one pod.
    pub fn directory(&self, pod_id: &str) -> PathBuf {
        self.root.join(pod_id)
    }

    /// Writes a record, on a thread that may wait for the disk. The first one of a pod is on the disk then: the addresses
    /// that plugins give out are, too, and a power cut must not leave only those.
    ///
    /// # Errors
    /// The kernel's; the earlier one is still in place then. A record that could not be read back, because a plugin has put
    /// more into it than any has a use for.
    pub async fn write(&self, record: &Record) -> Result<()> {
        const WHAT: &str = "write the record of attachment";
        let dir = self.directory(&record.pod_id);
        let body = encoded(record).map_err(|source| Error::Record { what: WHAT, path: dir.clone(), source })?;
        let durability = if record.phase == Phase::Adding { Durability::PowerCut } else { Durability::Process };
        on_disk(WHAT, dir, move |dir| match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => record_file::replace(dir, NAME, &body, durability),
        })
        .await
    }

    /// Removes a record with its directory, on a thread that may wait for the disk. It can be repeated.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn remove(&self, pod_id: &str) -> Result<()> {
        on_disk("remove the record of attachment", self.directory(pod_id), |dir| match fs::remove_dir_all(dir) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        })
        .await
    }

    /// The pods that have a directory.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pods(&self) -> Result<Vec<String>> {
        let fail = |source| Error::Record { what: "list", path: self.root.clone(), source };
        let entries = fs::read_dir(&self.root).map_err(fail)?;
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.map_err(fail)?;
            // What is not a directory is not ours, and no reason for a node not to start.
            let is_directory = entry.file_type().map_err(fail)?.is_dir();
            Ok(entry.file_name().into_string().ok().filter(|_| is_directory))
        };
        entries.filter_map(|entry| name(entry).transpose()).collect()
    }

    /// Reads the record of one pod.
    ///
    /// # Errors
    /// The kernel's, which means nothing for the record.
    pub fn read(&self, pod_id: &str) -> Result<Stored> {
        let path = self.directory(pod_id).join(NAME);
        match record_file::read_bounded(&path, MAX_RECORD) {
            Ok(Some(bytes)) => Ok(stored(&path, pod_id, &bytes)),
            Ok(None) => Ok(Stored::Damaged("it is larger than any record, or not a regular file".to_owned())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Stored::Nothing),
            Err(source) => Err(Error::Record { what: "read", path, source }),
        }
    }
}

/// The bytes of a record, which can be read back.
fn encoded(record: &Record) -> std::io::Result<Vec<u8>> {
    let unusable = |why: String| std::io::Error::new(ErrorKind::InvalidData, why);
    let body = serde_json::to_vec(record)?;
    let again: Record = serde_json::from_slice(&body)?;
    again.list().map_err(|why| unusable(why.to_string()))?;
    let bytes = checked::encode(KIND, VERSION, &body);
    if bytes.len() as u64 > MAX_RECORD {
        return Err(unusable(format!("it would be larger than {MAX_RECORD} bytes")));
    }
    Ok(bytes)
}

/// Works on a directory, on a thread of its own.
async fn on_disk(
    what: &'static str,
    path: PathBuf,
    work: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static,
) -> Result<()> {
    let at = path.clone();
    let done = tokio::task::spawn_blocking(move || work(&at)).await;
    let done = done.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    done.map_err(|source| Error::Record { what, path, source })
}

fn stored(path: &Path, pod_id: &str, bytes: &[u8]) -> Stored {
    match checked::read(path, KIND, VERSION, bytes, |body| serde_json::from_slice::<Record>(body)) {
        Ok(record) if record.pod_id != pod_id => Stored::Foreign(format!("it is that of pod {}", record.pod_id)),
        Ok(record) => match record.list() {
            Ok(_) => Stored::Record(Box::new(record)),
            Err(why) => Stored::Foreign(why.to_string()),
        },
        Err(Unusable::Damaged(why)) => Stored::Damaged(why.to_string()),
        Err(Unusable::Foreign(foreign)) => Stored::Foreign(foreign.to_string()),
    }
}
