// SPDX-License-Identifier: Apache-2.0
//! The three kinds of record: JSON bodies under the checked header of `gorae_kernel::checked`.

use gorae_kernel::checked::{self, CheckedError, Foreign, Unusable};
use gorae_unpack::Usage;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

const VERSION: u32 = 1;
/// A config has at most 8 MiB, and JSON escaping at most doubles real ones.
const MAX_RECORD: u64 = 64 << 20;
/// More than the first line of a checked file can have.
const HEADER: u64 = 256;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned {
    /// The kind in the record's header.
    const KIND: &'static str;
}

/// An image. Immutable.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The config as the registry sent it; its digest is the id of the image.
    pub config: String,
    /// Diff ids, bottom first.
    pub layers: Vec<String>,
    /// Whether a tree lies on top of the layers.
    #[serde(default)]
    pub top: Top,
}

/// Whether an image needs directories on top of its layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Top {
    /// Not known: the record was written by a version of Gorae that did not check for such directories.
    #[default]
    Unknown,
    /// It needs none.
    Nothing,
    /// It does. The layers determine which tree it is.
    Tree,
}

/// A name and the image that it refers to.
#[derive(Debug, Serialize, Deserialize)]
pub struct NameRecord {
    pub name: String,
    pub image: String,
}

/// A layer. Immutable.
#[derive(Debug, Serialize, Deserialize)]
pub struct LayerRecord {
    pub diff_id: String,
    pub usage: Usage,
    /// What is left to lower layers; absent in trees, and in records of older versions of Gorae.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied: Option<Implied>,
}

/// What a layer leaves to the layers below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Implied {
    /// Whether no member describes the root directory.
    pub root: bool,
    /// Number of directories that no member describes; their names are stored next to the record.
    pub directories: u64,
}

impl Record for ImageRecord {
    const KIND: &'static str = "image";
}
impl Record for NameRecord {
    const KIND: &'static str = "image-name";
}
impl Record for LayerRecord {
    const KIND: &'static str = "layer";
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The header or the checksum is wrong.
    #[error(transparent)]
    Damaged(#[from] CheckedError),
    /// Another program wrote it.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// The image's config, which came from the registry, cannot be read.
    #[error("its config: {0}")]
    Config(serde_json::Error),
    /// The directories on top of an image are missing and cannot be created again.
    #[error("its tree of directories cannot be created again: {0}")]
    Top(crate::store::error::Error),
    /// The record contradicts its name or itself.
    #[error("the record is not valid here: {0}")]
    Misplaced(&'static str),
}

/// Writes a record to a new file. The caller syncs and renames.
///
/// # Errors
/// The kernel's error for the file, which may then be incomplete.
pub fn write<R: Record>(path: &Path, record: &R) -> io::Result<()> {
    let body = serde_json::to_vec(record)?;
    fs::write(path, checked::encode(R::KIND, VERSION, &body))
}

/// The kind of a file of names.
const NAMES: &str = "implied-directories";

/// Writes the names of implied directories to a new file, each with a terminating zero byte.
///
/// # Errors
/// As [`write()`].
pub fn write_names(path: &Path, names: &[Vec<u8>]) -> io::Result<()> {
    let mut body = names.join(&0);
    body.push(0);
    fs::write(path, checked::encode(NAMES, VERSION, &body))
}

/// Reads those names, at most `most` bytes in all; `None` if they have more.
///
/// # Errors
/// [`Unreadable::File`] and [`Unreadable::Damaged`]; [`Unreadable::Misplaced`] when the last name is not terminated.
pub fn read_names(mut file: fs::File, most: u64) -> Result<Option<Vec<Vec<u8>>>, Unreadable> {
    if file.metadata()?.len() > most.saturating_add(HEADER) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let body = checked::decode(NAMES, VERSION, &bytes)?.body;
    let body = body.strip_suffix(&[0]).ok_or(Unreadable::Misplaced("its last name is not terminated"))?;
    Ok(Some(body.split(|&b| b == 0).map(<[u8]>::to_vec).collect()))
}

/// Reads and checks a record.
///
/// # Errors
/// [`Unreadable::File`]; [`Unreadable::Damaged`] for a wrong header or checksum; [`Unreadable::Foreign`] for a record
/// of another program; [`Unreadable::Misplaced`] for one that is too large.
pub fn read<R: Record>(path: &Path) -> Result<R, Unreadable> {
    let length = fs::symlink_metadata(path)?.len();
    if length > MAX_RECORD {
        return Err(Unreadable::Misplaced("it is too large"));
    }
    let bytes = fs::read(path)?;
    let read = checked::read(path, R::KIND, VERSION, &bytes, |body| serde_json::from_slice(body));
    read.map_err(|unusable| match unusable {
        Unusable::Damaged(why) => why.into(),
        Unusable::Foreign(foreign) => foreign.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of every version ever written, in `golden/KIND-VERSION`. An upgrade that cannot read one costs a node its
    /// images. Never change these files.
    fn golden<R: Record>(version: u32) -> R {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/golden/{}-{version}", R::KIND));
        read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn the_records_of_every_version_are_read_with_every_field() {
        let (image, layer) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let read: ImageRecord = golden(1);
        assert!(read.config.starts_with("{\"architecture\":\"amd64\"") && read.config.ends_with("]}}"), "{read:?}");
        assert_eq!(read.layers, std::slice::from_ref(&layer));
        let read: NameRecord = golden(1);
        assert_eq!((read.name.as_str(), read.image), ("registry.example/tiny:1", image));
        let read: LayerRecord = golden(1);
        assert_eq!((read.diff_id, read.usage), (layer, Usage { bytes: 8192, inodes: 3 }));
    }
}
