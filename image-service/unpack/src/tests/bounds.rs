// SPDX-License-Identifier: Apache-2.0
//! Bounds on what a layer may take.

use crate::error::Error;
use crate::fixture::Tar;
use crate::limits::{Limits, Reserve};
use crate::tests::place::{Place, gzip};
use std::io::Write as _;
use tar::EntryType;

#[test]
fn bounds_on_size_count_depth_and_names_hold() {
    let limits = Limits { bytes: 4096, entries: 3, depth: 4, ..Limits::default() };
    let unpack = |tar: Tar| {
        let tar = tar.end();
        Place::new().unpack_with(&gzip(&tar), &tar, limits)
    };
    assert!(unpack(Tar::default().file("a/b/c/d", "x")).is_ok());
    assert!(matches!(unpack(Tar::default().file("a/b/c/d/e", "x")), Err(Error::Limit { what: "path components", .. })));
    let many = (0..4).fold(Tar::default(), |tar, n| tar.file(&n.to_string(), ""));
    assert!(matches!(unpack(many), Err(Error::Limit { what: "members", .. })));
    assert!(matches!(unpack(Tar::default().file("a", &"x".repeat(5000))), Err(Error::Limit { .. })));
    let deep_link = Tar::default().link("l", EntryType::Symlink, "1/2/3/4/5/6").file("l/x", "");
    assert!(unpack(deep_link).is_err());
    let name = "n".repeat(256);
    let long = Tar::default().pax(&[("path", name.as_bytes())]).file("x", "").end();
    assert!(matches!(Place::new().unpack(&long), Err(Error::Member { .. })));
    let nul = Tar::default().pax(&[("path", b"a\0b")]).file("x", "").end();
    assert!(matches!(Place::new().unpack(&nul), Err(Error::Malformed(_))));
}

#[test]
fn a_bomb_stops_at_the_limit_and_not_in_memory() {
    // 2 GiB of zeros in 2 MB, and a long name of 1 GiB: both stop early.
    let limits = Limits { bytes: 32 << 20, ..Limits::default() };
    let header = Tar::default().member("big", EntryType::Regular, b"", |h| h.set_size(1 << 40)).0;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(matches!(Place::new().unpack_with(&bomb, b"", limits), Err(Error::Limit { .. })));
    let name = Tar::default().member("n", EntryType::GNULongName, b"", |h| h.set_size(1 << 30)).0;
    assert!(matches!(Place::new().unpack(&name), Err(Error::Malformed(_))));
}

#[test]
fn a_zstd_bomb_stops_at_the_limit_and_a_huge_window_is_refused() {
    let limits = Limits { bytes: 32 << 20, ..Limits::default() };
    let mut tar = Tar::default().member("big", EntryType::Regular, b"", |h| h.set_size(1 << 40)).0;
    tar.resize(64 << 20, 0);
    let bomb = zstd::encode_all(&tar[..], 3).unwrap();
    assert!(bomb.len() < 64 << 10);
    assert!(matches!(Place::new().unpack_with(&bomb, b"", limits), Err(Error::Limit { .. })));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&tar).unwrap();
    let wide = encoder.finish().unwrap();
    assert!(matches!(Place::new().unpack_with(&wide, b"", Limits::default()), Err(Error::Inflate(_))));
}

#[test]
fn an_attribute_that_is_too_large_is_no_full_disk() {
    for length in [60_000, 70_000] {
        let value = vec![b'x'; length];
        let tar = Tar::default().pax(&[("SCHILY.xattr.user.big", &value)]).file("f", "");
        match Place::new().unpack(&tar.end()) {
            Ok(_) => assert!(length < 1 << 16, "Linux takes 64 KiB, on file systems that do"),
            Err(error) => {
                assert!(matches!(error, Error::Attribute { .. }) && !error.is_no_space(), "{error}");
                assert_eq!(error.is_of_the_image(), length > 1 << 16, "{error}");
                assert!(error.to_string().contains("user.big"), "{error}");
            }
        }
    }
}

#[test]
fn a_layer_stops_where_the_reserve_begins() {
    let tar = Tar::default().file("f", "x").end();
    let all = Limits { reserve: Reserve::Bytes(u64::MAX), ..Limits::default() };
    let error = Place::new().unpack_with(&tar, &tar, all).unwrap_err();
    assert!(matches!(error, Error::Reserve { what: "bytes", .. }) && error.is_no_space(), "{error}");
}
