// SPDX-License-Identifier: Apache-2.0
//! A compressed layer stream → a directory that overlayfs can take as a lower layer, in one pass.
//!
//! ```text
//! blob bytes ─ thread 1: blob digest, size, inflate ─ thread 2: diff id, tar members ─ Tree (by handle)
//! ```
//!
//! Everything in the stream is hostile. Members are placed by directory handle with single-component names, so
//! nothing outside the layer directory can be reached; see [`tree`]. The directory is worth nothing until
//! [`layer`] has returned `Ok`: only then have both digests been compared. Never touches the network or the store.

mod archive;
mod header;
mod inflate;
mod limits;
pub mod meta;
mod pax;
pub mod pipe;
mod place;
pub mod space;
mod sparse;
#[cfg(test)]
mod tests;
pub mod tree;

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use gorae_digest::{Digest, Hasher};

pub use inflate::BlobFacts;
pub use limits::{Limits, Reserve};
pub use tree::Usage;

/// Why a layer could not be unpacked.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended before the layer did, because its source failed or was given up.
    #[error("the layer's stream was cut")]
    Cut,
    /// The blob's bytes are not those that the manifest names.
    #[error("blob digest is {found}, the manifest says {expected}")]
    BlobDigest { expected: Digest, found: Digest },
    /// The blob's length is not what the manifest says.
    #[error("blob has {found} bytes, the manifest says {expected}")]
    BlobSize { expected: u64, found: u64 },
    /// The uncompressed bytes are not those that the image config names.
    #[error("diff id is {found}, the image config says {expected}")]
    DiffId { expected: Digest, found: Digest },
    /// gzip or zstd data is damaged.
    #[error("the compressed data is damaged")]
    Inflate(#[source] io::Error),
    /// The tar stream breaks the format.
    #[error("not a valid tar stream: {0}")]
    Malformed(String),
    /// A member cannot be placed as asked.
    #[error("member {path:?}: {why}")]
    Member { path: String, why: String },
    /// A [`Limits`] bound was reached.
    #[error("the layer is above the limit of {limit} {what}")]
    Limit { what: &'static str, limit: u64 },
    /// Less would be left free than is kept in reserve.
    #[error("{free} {what} are free, and {reserve} are kept in reserve")]
    Reserve { what: &'static str, free: u64, reserve: u64 },
    /// An extended attribute is too large for the file system.
    #[error(
        "member {path:?}: its extended attribute {name:?} has {length} bytes, more than the image store's file system \
         takes (XFS takes 64 KiB, ext4 less than 4 KiB unless it was made with ea_inode)"
    )]
    Attribute { path: String, name: String, length: usize },
    /// The kernel refused to place a member.
    #[error("cannot place member {path:?}")]
    Place {
        path: String,
        #[source]
        source: io::Error,
    },
    /// A kernel call on the layer directory itself failed.
    #[error("cannot {what} the layer directory")]
    Directory {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether the bytes are another blob's: whoever served them may be at fault.
    pub fn is_other_blob(&self) -> bool {
        matches!(self, Self::BlobDigest { .. } | Self::BlobSize { .. })
    }

    /// Whether it is the image that cannot be unpacked anywhere, and not this node that cannot unpack it now.
    pub fn is_of_the_image(&self) -> bool {
        match self {
            Self::BlobDigest { .. } | Self::BlobSize { .. } | Self::DiffId { .. } => true,
            Self::Inflate(_) | Self::Malformed(_) | Self::Member { .. } => true,
            Self::Attribute { length, .. } => *length > meta::MAX_VALUE,
            Self::Place { source, .. } => source.raw_os_error().is_some_and(|errno| OF_THE_IMAGE.contains(&errno)),
            Self::Cut | Self::Limit { .. } | Self::Reserve { .. } | Self::Directory { .. } => false,
        }
    }

    /// Whether the bound that was reached is below these: the file system's own size.
    pub fn is_below(&self, usual: &Limits) -> bool {
        match self {
            Self::Limit { what: Limits::MEMBERS, limit } => *limit < usual.entries,
            Self::Limit { what: Limits::FILES | Limits::STREAM, limit } => *limit < usual.bytes,
            _ => false,
        }
    }

    /// Whether the file system ran out of blocks, inodes or quota, or would have.
    pub fn is_no_space(&self) -> bool {
        if matches!(self, Self::Reserve { .. }) {
            return true;
        }
        let (Self::Place { source, .. } | Self::Directory { source, .. }) = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// What the kernel answers to names, links, owners and sizes that no file system takes.
const OF_THE_IMAGE: [i32; 12] = [
    libc::ENOENT,
    libc::ENOTDIR,
    libc::EISDIR,
    libc::EEXIST,
    libc::ENOTEMPTY,
    libc::ELOOP,
    libc::ENAMETOOLONG,
    libc::EMLINK,
    libc::EINVAL,
    libc::ERANGE,
    libc::EFBIG,
    libc::EILSEQ,
];

/// An unpacked layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it takes.
    pub usage: Usage,
    /// Whether a member describes the root directory.
    pub describes_root: bool,
    /// The directories that other members only imply, sorted, without the root: what they are is said by lower layers.
    pub implied: Vec<Vec<u8>>,
}

/// What a caller knows about a layer beforehand.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Digest and size of the (compressed) blob, from the manifest.
    pub blob: BlobFacts,
    /// Digest of the uncompressed tar stream, from the image config.
    pub diff_id: Digest,
}

/// Unpacks the blob that arrives on `blob` into `directory` and compares blob digest, blob size and diff id.
///
/// - Shapes: `directory` is open, empty and reachable by nobody else; `unpacked` is advanced by uncompressed bytes.
/// - Errors: [`Error`]; the directory then holds an arbitrary part of the layer and is to be removed.
/// - Blocks: until the sender of `blob` ends or is dropped; to be called on a thread that may block.
pub fn layer(
    blob: pipe::Source,
    directory: OwnedFd,
    expected: &Expected,
    limits: &Limits,
    unpacked: &AtomicU64,
) -> Result<Layer, Error> {
    let (sink, plain) = pipe::pipe(8);
    std::thread::scope(|scope| {
        let inflater = std::thread::Builder::new()
            .name("layer-inflate".to_owned())
            .spawn_scoped(scope, || inflate::run(blob, sink, &expected.blob))
            .map_err(|source| Error::Directory { what: "start a thread for", source })?;
        let placed = place_all(plain, directory, &expected.diff_id, limits, unpacked);
        let inflated = inflater.join().unwrap_or(Err(Error::Cut));
        match (placed, inflated) {
            // A cut on one side is the echo of the other side's failure.
            (Err(Error::Cut), Err(cause)) | (Ok(_), Err(cause)) => Err(cause),
            (Err(cause), _) => Err(cause),
            (Ok(layer), Ok(())) => Ok(layer),
        }
    })
}

/// The second half: tar members into the tree, the whole stream into the diff id.
fn place_all(
    plain: pipe::Source,
    directory: OwnedFd,
    diff_id: &Digest,
    limits: &Limits,
    unpacked: &AtomicU64,
) -> Result<Layer, Error> {
    let stream = Hashed {
        source: plain,
        hasher: Hasher::new(diff_id.algorithm()),
        count: unpacked,
        read: 0,
        limit: limits.bytes,
    };
    let mut archive = archive::Archive::new(stream);
    let mut tree = tree::Tree::new(directory, *limits)?;
    while let Some(member) = archive.next_member()? {
        tree.place(&member, &mut archive)?;
    }
    let layer = tree.finish()?;
    let mut stream = archive.into_inner();
    stream.drain()?;
    let found = stream.hasher.finish();
    if found != *diff_id {
        return Err(Error::DiffId { expected: diff_id.clone(), found });
    }
    Ok(layer)
}

/// The uncompressed stream with its hash, its progress counter and its bound.
struct Hashed<'a> {
    source: pipe::Source,
    hasher: Hasher,
    count: &'a AtomicU64,
    read: u64,
    limit: u64,
}

impl Hashed<'_> {
    /// Reads what follows the archive's end: padding that belongs to the diff id.
    fn drain(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(stream_error(e)),
            }
        }
    }
}

impl io::Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.read += n as u64;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        if self.read > self.limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, LimitReached(self.limit)));
        }
        Ok(n)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("stream limit of {0} bytes")]
struct LimitReached(u64);

/// Read errors of [`Hashed`] are only ever its bound or a cut pipe.
fn stream_error(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<LimitReached>()) {
        Some(LimitReached(limit)) => Error::Limit { what: Limits::STREAM, limit: *limit },
        None => Error::Cut,
    }
}
