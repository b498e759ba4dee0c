// SPDX-License-Identifier: Apache-2.0
//! The archive format: PAX, GNU, sparse files, and malformed archives.

use crate::error::Error;
use crate::fixture::Tar;
use crate::tests::place::{Place, names_below, xattr};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use tar::{EntryType, Header};

#[test]
fn pax_records_overrule_the_header() {
    let place = Place::new();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(250));
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tar = Tar::default()
        .member("global", EntryType::XGlobalHeader, b"17 comment=hello\n", |_| {})
        .pax(&[
            ("path", long.as_bytes()),
            ("uid", b"3000000000"),
            ("mtime", b"1700000000.123456789"),
            ("SCHILY.xattr.user.note", b"a=b"),
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/secret"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ])
        .file("short", "data")
        .pax(&[("size", b"3")])
        .member("sized", EntryType::Regular, b"abc", |h| h.set_size(0))
        .member("././@LongLink", EntryType::GNULongName, format!("gnu/{}\0", "g".repeat(200)).as_bytes(), |_| {})
        .file("cut", "long")
        .member("././@LongLink", EntryType::GNULongLink, format!("{}\0", "t".repeat(300)).as_bytes(), |_| {})
        .link("sym", EntryType::Symlink, "cut")
        .end();
    place.unpack(&tar).unwrap();
    let status = fs::metadata(place.path(&long)).unwrap();
    assert_eq!((status.uid(), status.mtime(), status.mtime_nsec()), (3_000_000_000, 1_700_000_000, 123_456_789));
    assert_eq!(xattr(&place.path(&long), "user.note").as_deref(), Some(&b"a=b"[..]));
    assert_eq!(xattr(&place.path(&long), "security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(xattr(&place.path(&long), "trusted.overlay.redirect"), None);
    assert_eq!(xattr(&place.path(&long), "user.overlay.opaque"), None);
    assert_eq!(fs::read_to_string(place.path("sized")).unwrap(), "abc");
    assert_eq!(fs::read_to_string(place.path(&format!("gnu/{}", "g".repeat(200)))).unwrap(), "long");
    assert_eq!(fs::read_link(place.path("sym")).unwrap().as_os_str().len(), 300);
}

#[test]
fn sparse_members_of_all_forms_come_out_whole() {
    let place = Place::new();
    let tar = Tar::default()
        .member("old", EntryType::GNUSparse, b"abcdef", |h| {
            let gnu = h.as_gnu_mut().unwrap();
            gnu.set_real_size(10_000);
            gnu.sparse[0].set_offset(0);
            gnu.sparse[0].set_length(3);
            gnu.sparse[1].set_offset(9_997);
            gnu.sparse[1].set_length(3);
        })
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"new"),
            ("GNU.sparse.realsize", b"20000"),
        ])
        .member("GNUSparseFile.0/new", EntryType::Regular, &[&b"1\n5000\n4\n"[..], &[0; 503], b"wxyz"].concat(), |_| {})
        .pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.map", b"2,2,8,1")])
        .file("mapped", "123")
        .end();
    place.unpack(&tar).unwrap();
    let old = fs::read(place.path("old")).unwrap();
    assert_eq!((old.len(), &old[..3], &old[9_997..]), (10_000, &b"abc"[..], &b"def"[..]));
    assert!(old[3..9_997].iter().all(|&b| b == 0));
    let new = fs::read(place.path("new")).unwrap();
    assert_eq!((new.len(), &new[5000..5004]), (20_000, &b"wxyz"[..]));
    assert_eq!(fs::read(place.path("mapped")).unwrap(), b"\0\x0012\0\0\0\x003\0");
}

#[test]
fn hostile_sparse_maps_are_refused() {
    let old = |real: u64, offset: u64, length: u64| {
        let change = move |h: &mut Header| {
            let gnu = h.as_gnu_mut().unwrap();
            gnu.set_real_size(real);
            gnu.sparse[0].set_offset(offset);
            gnu.sparse[0].set_length(length);
        };
        Place::new().unpack(&Tar::default().member("s", EntryType::GNUSparse, b"abc", change).end())
    };
    assert!(old(1 << 62, 0, 3).is_err(), "beyond the limit");
    assert!(old(2, 0, 3).is_err(), "beyond the file");
    assert!(old(10, 0, 4).is_err(), "more than the data");
    assert!(old(10, 0, 2).is_err(), "less than the data");
    for map in [&b"999999999\n"[..], b"1\n0\n", b"x\n", b"1\n99999999999999999999999\n1\n"] {
        let data = [map, &vec![0; 512 - map.len()]].concat();
        let records = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")];
        let tar = Tar::default().pax(&records).member("s", EntryType::Regular, &data, |_| {});
        assert!(Place::new().unpack(&tar.end()).is_err());
    }
}

#[test]
fn a_sparse_map_without_an_end_is_refused() {
    let mut tar = Tar::default().member("s", EntryType::GNUSparse, b"", |h| {
        h.as_gnu_mut().unwrap().set_real_size(10);
        h.as_gnu_mut().unwrap().set_is_extended(true);
    });
    // The blocks hold no pieces, and each announces another one.
    let mut block = tar::GnuExtSparseHeader::new();
    block.set_is_extended(true);
    for _ in 0..5000 {
        tar.0.extend_from_slice(block.as_bytes());
    }
    let result = Place::new().unpack(&tar.0);
    assert!(matches!(&result, Err(Error::Malformed(why)) if why.contains("too many")), "{result:?}");
}

#[test]
fn broken_archives_are_errors_and_never_panics() {
    let good = Tar::default().dir("d").file("d/f", "content").link("l", EntryType::Symlink, "x").end();
    for cut in (1..good.len() - 1024).step_by(31) {
        let _ = Place::new().unpack(&good[..cut]);
    }
    for at in (0..good.len()).step_by(11) {
        let mut broken = good.clone();
        broken[at] ^= 0xff;
        let _ = Place::new().unpack(&broken);
    }
    for (why, tar) in [
        ("owner", Tar::default().member("x", EntryType::Regular, b"", |h| h.set_uid(u64::from(u32::MAX)))),
        ("type", Tar::default().member("x", EntryType::new(b'Z'), b"", |_| {})),
        ("empty target", Tar::default().member("x", EntryType::Symlink, b"", |_| {})),
        ("root as a file", Tar::default().file("./", "x").file(".", "x")),
        ("announced only", Tar::default().pax(&[("path", b"x")])),
    ] {
        assert!(Place::new().unpack(&tar.end()).is_err(), "{why}");
    }
    assert!(Place::new().unpack(b"").is_ok(), "an empty layer");
    assert!(Place::new().unpack(&[0; 1024]).is_ok(), "an empty archive");
}

/// The names in an unpacked archive, or its error.
fn read_as_go(tar: Tar) -> Result<Vec<String>, String> {
    let place = Place::new();
    place.unpack(&tar.end()).map(|_| names_below(&place.path(""))).map_err(|e| e.to_string())
}

#[test]
fn names_and_types_are_those_that_go_reads() {
    let gnu = |tar: Tar, name: &str| tar.member("././@LongLink", EntryType::GNULongName, name.as_bytes(), |_| {});
    // GNU's long name takes precedence over the path of an extended header, unless it is empty.
    let both = gnu(Tar::default().pax(&[("path", b"pax")]), "gnu\0").file("own", "");
    assert_eq!(read_as_go(both).unwrap(), ["gnu"]);
    let empty = gnu(Tar::default().pax(&[("path", b"pax")]), "\0").file("own", "");
    assert_eq!(read_as_go(empty).unwrap(), ["pax"]);
    // A trailing slash makes a directory only of the oldest type.
    let place = Place::new();
    let old = |tar: Tar, name: &str| tar.member(name, EntryType::Regular, b"", |h| h.as_old_mut().linkflag = [0]);
    place.unpack(&old(Tar::default().file("file/", "x"), "dir/").end()).unwrap();
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "x");
    assert!(place.path("dir").is_dir());
    // A global extended header cancels the headers before it.
    let global = Tar::default().pax(&[("path", b"pax")]).member("g", EntryType::XGlobalHeader, b"6 a=b\n", |_| {});
    assert_eq!(read_as_go(global.file("own", "")).unwrap(), ["own"]);
}

#[test]
fn numbers_records_and_ends_that_go_refuses_are_refused() {
    let field = |change: fn(&mut Header)| Tar::default().member("x", EntryType::Regular, b"", change);
    for (why, tar) in [
        ("a sign", field(|h| h.as_old_mut().mode.copy_from_slice(b"+000644\0"))),
        ("above 64 bits", field(|h| h.as_old_mut().mtime.copy_from_slice(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"))),
        ("no key", Tar::default().member("pax", EntryType::XHeader, b"5 =b\n", |_| {}).file("x", "")),
        ("a time", field(|h| h.as_old_mut().mtime.copy_from_slice(b"yesterday  \0"))),
        ("a directory's map", Tar::default().pax(&[("GNU.sparse.map", b"0,1")]).dir("d")),
        ("no number of pieces", Tar::default().pax(&[("GNU.sparse.map", b"0,1")]).file("s", "x")),
    ] {
        assert!(read_as_go(tar).is_err(), "{why}");
    }
    let mut tar = Tar::default().file("a", "").0;
    tar.extend([0; 512]);
    assert!(Place::new().unpack(&tar).is_ok(), "one zero block is an end");
    tar.extend(Tar::default().file("b", "").end());
    let error = Place::new().unpack(&tar).unwrap_err().to_string();
    assert!(error.contains("after the zero block"), "{error}");
    let padding = Tar::default().file("a", "x").0;
    assert!(Place::new().unpack(&padding[..513]).is_ok(), "the stream may end within padding");
}
