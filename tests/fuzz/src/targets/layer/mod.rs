// SPDX-License-Identifier: Apache-2.0
//! Layers, unpacked into a directory with another one beside it. The first byte says what the rest is: a blob as it
//! comes, or a tar stream whose header checksums are set right (or a fuzzer would never get behind them), plain or
//! compressed.
//!
//! Root sees everything that happens on a node. Another user gets as far as the first member that belongs to a different user.

mod blob;
mod seeds;
mod walk;

use crate::random::pieces;
use blob::{ESCAPED, compressed, with_checksums};
use bytes::Bytes;
use gorae_digest::Digest;
use gorae_unpack::{BlobFacts, Error, Expected, Layer, Limits, Reserve, pipe};
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use walk::Found;

pub use seeds::seeds;

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 48, depth: 12, reserve: Reserve::Bytes(0) };

pub fn check(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let (blob, plain) = match choice % 4 {
        0 => (rest.to_vec(), rest.to_vec()),
        compression => {
            let tar = with_checksums(rest.to_vec());
            (compressed(compression, &tar), tar)
        }
    };
    let (result, found) = unpacked([&blob[..]], &blob, &plain);
    match &result {
        // What it says is what there is.
        Ok(Layer { usage, .. }) => {
            assert_eq!(usage.inodes, found.inodes, "{usage:?}, {found:?}");
            assert!(usage.bytes >= found.taken, "{usage:?}, {found:?}");
        }
        Err(Error::Directory { what, source }) => panic!("cannot {what} the directory: {source}"),
        Err(error) => assert!(error.to_string().len() < 2000 && !error.is_other_blob(), "{error}"),
    }
    let (again, found_again) = unpacked(pieces(&blob), &blob, &plain);
    // What was being written when something failed is as far as the last read brought it.
    let told = |result: Result<Layer, Error>, found| result.map(|layer| (layer, found)).map_err(|e| e.to_string());
    assert_eq!(told(result, found), told(again, found_again), "it depends on the cuts");
}

/// Unpacks a blob that comes in parts into a new directory, and looks at what is there.
fn unpacked<'b>(parts: impl IntoIterator<Item = &'b [u8]>, blob: &[u8], plain: &[u8]) -> (Result<Layer, Error>, Found) {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["layer", "outside"] {
        fs::create_dir(place.path().join(name)).expect("a directory");
    }
    let parts: Vec<Bytes> = parts.into_iter().map(Bytes::copy_from_slice).collect();
    let (sink, source) = pipe::pipe(parts.len() + 1);
    for part in parts {
        sink.send_blocking(part).expect("there is room");
    }
    sink.end_blocking().expect("there is room");
    let facts = BlobFacts { digest: Digest::of(blob), size: blob.len() as u64 };
    let expected = Expected { blob: facts, diff_id: Digest::of(plain) };
    let directory = File::open(place.path().join("layer")).expect("the directory").into();
    let result = gorae_unpack::layer(source, directory, &expected, &LIMITS, &AtomicU64::new(0));
    nothing_is_outside(place.path());
    let found = walk::below(&place.path().join("layer"));
    assert!(found.bytes <= LIMITS.bytes, "{found:?}");
    // A member may make every directory on its way; a link on it leads to no deeper place.
    assert!(found.inodes <= 1 + LIMITS.entries * (LIMITS.depth as u64 + 1), "{found:?}");
    assert!(found.depth <= LIMITS.depth + 2, "{found:?}");
    (result, found)
}

fn nothing_is_outside(place: &Path) {
    assert_eq!(fs::read_dir(place).expect("the place").count(), 2, "something was made beside the layer");
    assert_eq!(fs::read_dir(place.join("outside")).expect("it is there").count(), 0, "something was made outside");
    assert!(!Path::new(ESCAPED).exists(), "something was made in the root directory");
}
