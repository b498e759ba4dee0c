// SPDX-License-Identifier: Apache-2.0
//! The three kinds of record: JSON bodies under the checked header of `gorae_proto::checked`.

use std::fs;
use std::io;
use std::path::Path;

use gorae_proto::checked::{self, CheckedError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::unpack::Usage;

const VERSION: u32 = 1;
/// A config is at most 8 MiB; JSON escaping at most doubles what real ones hold.
const MAX_RECORD: u64 = 64 << 20;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned {
    /// The word in the record's header.
    const KIND: &'static str;
}

/// An image: immutable.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The config's bytes as the registry sent them; their digest is the image's id.
    pub config: String,
    /// Diff ids, bottom first.
    pub layers: Vec<String>,
}

/// A name and the image that it means.
#[derive(Debug, Serialize, Deserialize)]
pub struct NameRecord {
    pub name: String,
    pub image: String,
}

/// A layer: immutable.
#[derive(Debug, Serialize, Deserialize)]
pub struct LayerRecord {
    pub diff_id: String,
    pub usage: Usage,
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
    /// The header or checksum is wrong.
    #[error(transparent)]
    Damaged(#[from] CheckedError),
    /// The body is not what this kind holds.
    #[error("the body is not a record: {0}")]
    Body(#[from] serde_json::Error),
    /// The record contradicts its name or itself.
    #[error("the record does not belong here: {0}")]
    Misplaced(&'static str),
}

/// Writes a record to a new file. The caller syncs and renames.
pub fn write<R: Record>(path: &Path, record: &R) -> io::Result<()> {
    let body = serde_json::to_vec(record)?;
    fs::write(path, checked::encode(R::KIND, VERSION, &body))
}

/// Reads and checks a record.
pub fn read<R: Record>(path: &Path) -> Result<R, Unreadable> {
    let length = fs::symlink_metadata(path)?.len();
    if length > MAX_RECORD {
        return Err(Unreadable::Misplaced("it is too large"));
    }
    let bytes = fs::read(path)?;
    Ok(serde_json::from_slice(checked::decode(R::KIND, VERSION, &bytes)?)?)
}
