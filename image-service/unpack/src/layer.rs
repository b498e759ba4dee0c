// SPDX-License-Identifier: Apache-2.0
//! Unpacks a layer from its blob to its directory: two threads and the pipes between them.

use crate::archive::Archive;
use crate::error::Error;
use crate::inflate::{self, BlobFacts};
use crate::limits::Limits;
use crate::pipe::{self, Source};
use crate::stream::Stream;
use crate::tree::Tree;
use crate::unpacked::Layer;
use gorae_digest::Digest;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;

/// What a caller knows about a layer in advance.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Digest and size of the (compressed) blob, from the manifest.
    pub blob: BlobFacts,
    /// Digest of the uncompressed tar stream, from the image config.
    pub diff_id: Digest,
}

/// Unpacks the blob from the pipe `blob` into `directory` and checks blob digest, blob size and diff id.
///
/// - Shapes: `directory` is open, empty and not reachable by anything else; `unpacked` counts uncompressed bytes.
/// - Blocks: until the sender of `blob` ends or is dropped; must run on a thread that may block.
///
/// # Errors
/// [`Error`]; the directory then holds an arbitrary part of the layer and must be removed.
pub fn layer(
    blob: Source,
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
            // A cut on one side only echoes the failure of the other.
            (Err(Error::Cut), Err(cause)) | (Ok(_), Err(cause)) => Err(cause),
            (Err(cause), _) => Err(cause),
            (Ok(layer), Ok(())) => Ok(layer),
        }
    })
}

/// The second half: places tar members into the tree and hashes the whole stream for the diff id.
fn place_all(
    plain: Source,
    directory: OwnedFd,
    diff_id: &Digest,
    limits: &Limits,
    unpacked: &AtomicU64,
) -> Result<Layer, Error> {
    let mut archive = Archive::new(Stream::new(plain, diff_id.algorithm(), unpacked, limits.bytes));
    let mut tree = Tree::new(directory, *limits)?;
    while let Some(member) = archive.next_member()? {
        tree.place(&member, &mut archive)?;
    }
    let layer = tree.finish()?;
    let found = archive.into_stream().finish()?;
    if found != *diff_id {
        return Err(Error::DiffId { expected: diff_id.clone(), found });
    }
    Ok(layer)
}
