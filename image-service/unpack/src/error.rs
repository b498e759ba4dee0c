// SPDX-License-Identifier: Apache-2.0
//! Why a layer could not be unpacked, and which side is at fault: the image, the registry or this node.

use crate::limits::{Limits, MAX_ATTRIBUTE};
use gorae_digest::Digest;
use std::io;

/// Why a layer could not be unpacked.
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended before the layer did, because its source failed or was dropped.
    #[error("the layer's stream was cut")]
    Cut,
    /// The blob does not have the digest in the manifest.
    #[error("blob digest is {found}, the manifest says {expected}")]
    BlobDigest { expected: Digest, found: Digest },
    /// The blob does not have the size in the manifest.
    #[error("blob has {found} bytes, the manifest says {expected}")]
    BlobSize { expected: u64, found: u64 },
    /// The uncompressed bytes do not have the digest in the image config.
    #[error("diff id is {found}, the image config says {expected}")]
    DiffId { expected: Digest, found: Digest },
    /// The gzip or zstd data is damaged.
    #[error("the compressed data is damaged")]
    Inflate(#[source] io::Error),
    /// The tar stream is malformed.
    #[error("not a valid tar stream: {0}")]
    Malformed(String),
    /// A member asks for something that is not allowed.
    #[error("member {path:?}: {why}")]
    Member { path: String, why: String },
    /// The layer exceeds one of the [`Limits`].
    #[error("the layer is above the limit of {limit} {what}")]
    Limit { what: &'static str, limit: u64 },
    /// Writing on would use space that is kept in reserve.
    #[error("{free} {what} are free, and {reserve} are kept in reserve")]
    Reserve { what: &'static str, free: u64, reserve: u64 },
    /// An extended attribute is too large for the file system.
    #[error(
        "member {path:?}: its extended attribute {name:?} has {length} bytes, more than the image store's file system \
         allows (XFS allows 64 KiB, ext4 less than 4 KiB unless it was made with ea_inode)"
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
    /// Whether these are the bytes of a different blob, which may be the fault of the host that served them.
    pub fn is_other_blob(&self) -> bool {
        matches!(self, Self::BlobDigest { .. } | Self::BlobSize { .. })
    }

    /// Whether the image itself is at fault and cannot be unpacked anywhere, as opposed to a failure of this node.
    pub fn is_of_the_image(&self) -> bool {
        match self {
            Self::BlobDigest { .. } | Self::BlobSize { .. } | Self::DiffId { .. } => true,
            Self::Inflate(_) | Self::Malformed(_) | Self::Member { .. } => true,
            Self::Attribute { length, .. } => *length > MAX_ATTRIBUTE,
            Self::Place { source, .. } => source.raw_os_error().is_some_and(|errno| OF_THE_IMAGE.contains(&errno)),
            Self::Cut | Self::Limit { .. } | Self::Reserve { .. } | Self::Directory { .. } => false,
        }
    }

    /// Whether the limit that was exceeded is lower than the usual one, because the file system is smaller.
    pub fn is_below(&self, usual: &Limits) -> bool {
        match self {
            Self::Limit { what: Limits::MEMBERS, limit } => *limit < usual.entries,
            Self::Limit { what: Limits::FILES | Limits::STREAM, limit } => *limit < usual.bytes,
            _ => false,
        }
    }

    /// Whether the file system ran out of blocks, inodes or quota, or was about to.
    pub fn is_no_space(&self) -> bool {
        if matches!(self, Self::Reserve { .. }) {
            return true;
        }
        let (Self::Place { source, .. } | Self::Directory { source, .. }) = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The kernel's errors for names, links, owners and sizes that no file system accepts.
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

/// An error for a malformed tar stream.
pub fn malformed(why: &str) -> Error {
    Error::Malformed(why.to_owned())
}
