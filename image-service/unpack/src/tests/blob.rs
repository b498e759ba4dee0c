// SPDX-License-Identifier: Apache-2.0
//! The blob in transit: compression, digests, cut streams.

use crate::error::Error;
use crate::fixture::Tar;
use crate::inflate::BlobFacts;
use crate::layer::{Expected, layer};
use crate::limits::Limits;
use crate::pipe;
use crate::tests::place::{Place, gzip};
use bytes::Bytes;
use gorae_digest::Digest;
use std::fs;
use std::sync::atomic::AtomicU64;

#[test]
fn gzip_zstd_and_plain_blobs_give_the_same_tree() {
    let tar = Tar::default().file("a", &"text ".repeat(50_000)).end();
    let (half, rest) = tar.split_at(tar.len() / 2);
    let members = [gzip(half), gzip(rest)].concat();
    let frames = [zstd::encode_all(half, 3).unwrap(), zstd::encode_all(rest, 3).unwrap()].concat();
    for blob in [tar.clone(), gzip(&tar), members, zstd::encode_all(&tar[..], 3).unwrap(), frames] {
        let place = Place::new();
        place.unpack_with(&blob, &tar, Limits::default()).unwrap();
        assert_eq!(fs::metadata(place.path("a")).unwrap().len(), 250_000);
    }
}

#[test]
fn the_compression_is_told_however_few_bytes_come_at_a_time() {
    let tar = Tar::default().file("a", "x").end();
    for blob in [tar.clone(), gzip(&tar), zstd::encode_all(&tar[..], 3).unwrap()] {
        let facts = BlobFacts { digest: Digest::of(&blob), size: blob.len() as u64 };
        let expected = Expected { blob: facts, diff_id: Digest::of(&tar) };
        for chunk in 1..4 {
            Place::new().unpack_in(chunk, &blob, &expected, Limits::default()).unwrap();
        }
    }
}

#[test]
fn a_wrong_digest_size_or_diff_id_is_named() {
    let tar = Tar::default().file("a", "x").end();
    let (blob, limits) = (gzip(&tar), Limits::default());
    let good =
        Expected { blob: BlobFacts { digest: Digest::of(&blob), size: blob.len() as u64 }, diff_id: Digest::of(&tar) };
    let mut wrong = good.clone();
    wrong.blob.digest = Digest::of(b"");
    assert!(matches!(Place::new().unpack_expecting(&blob, &wrong, limits), Err(Error::BlobDigest { .. })));
    let mut wrong = good.clone();
    wrong.diff_id = Digest::of(b"");
    assert!(matches!(Place::new().unpack_expecting(&blob, &wrong, limits), Err(Error::DiffId { .. })));
    for cut in [0, 1, 5, blob.len() / 2, blob.len() - 1] {
        let result = Place::new().unpack_expecting(&blob[..cut], &good, limits);
        assert!(matches!(result, Err(Error::BlobSize { .. })), "{cut}: {result:?}");
    }
    let mut flipped = blob.clone();
    flipped[blob.len() / 2] ^= 0x40;
    assert!(matches!(Place::new().unpack_expecting(&flipped, &good, limits), Err(Error::BlobDigest { .. })));
    let trailing = [&blob[..], b"junk"].concat();
    assert!(matches!(Place::new().unpack_with(&trailing, &tar, limits), Err(Error::Inflate(_))));
}

#[test]
fn bytes_behind_the_archive_count_for_the_diff_id() {
    let mut tar = Tar::default().file("a", "x").end();
    tar.extend([0; 10_240]);
    tar.extend(b"not zero");
    Place::new().unpack(&tar).unwrap();
}

#[test]
fn nothing_follows_a_cut_stream() {
    let place = Place::new();
    let (sink, source) = pipe::pipe(4);
    let tar = Tar::default().file("a", "x").end();
    sink.send_blocking(Bytes::copy_from_slice(&tar[..600])).unwrap();
    drop(sink);
    let expected = Expected { blob: BlobFacts { digest: Digest::of(&tar), size: 1 }, diff_id: Digest::of(&tar) };
    let directory = fs::File::open(place.path("")).unwrap().into();
    let result = layer(source, directory, &expected, &Limits::default(), &AtomicU64::new(0));
    assert!(matches!(result, Err(Error::Cut)), "{result:?}");
}
