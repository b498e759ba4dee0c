// SPDX-License-Identifier: Apache-2.0
//! Layers, honest and hostile, through the whole unpacker. Root is needed: owners, devices and `trusted.` attributes.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use tar::{EntryType, Header};

use super::*;
use crate::limits::Reserve;

/// Writes tar members exactly as told, valid or not.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn member(mut self, path: &str, kind: EntryType, data: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, data: &str) -> Self {
        self.member(path, EntryType::Regular, data.as_bytes(), |_| {})
    }

    fn dir(self, path: &str) -> Self {
        self.member(path, EntryType::Directory, b"", |h| h.set_mode(0o755))
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.member(path, kind, b"", |h| h.set_link_name_literal(target).unwrap())
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest != length {
                length = length.to_string().len() + rest;
            }
            data.extend(format!("{length} {key}=").into_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.member("pax", EntryType::XHeader, &data, |_| {})
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// A layer directory with a canary beside it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("layer")).unwrap();
        fs::write(dir.path().join("canary"), "alive").unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("layer").join(name)
    }

    fn unpack_with(&self, blob: &[u8], plain: &[u8], limits: Limits) -> Result<Layer, Error> {
        let expected = Expected {
            blob: BlobFacts { digest: Digest::of(blob), size: blob.len() as u64 },
            diff_id: Digest::of(plain),
        };
        self.unpack_expecting(blob, &expected, limits)
    }

    fn unpack_expecting(&self, blob: &[u8], expected: &Expected, limits: Limits) -> Result<Layer, Error> {
        self.unpack_in(1000, blob, expected, limits)
    }

    /// Unpacks a blob that comes in chunks of so many bytes.
    fn unpack_in(&self, chunk: usize, blob: &[u8], expected: &Expected, limits: Limits) -> Result<Layer, Error> {
        let (sink, source) = pipe::pipe(1024);
        let feeder = {
            let chunks: Vec<Bytes> = blob.chunks(chunk).map(Bytes::copy_from_slice).collect();
            std::thread::spawn(move || {
                for chunk in chunks {
                    if sink.send_blocking(chunk).is_err() {
                        return;
                    }
                }
                let _ = sink.end_blocking();
            })
        };
        let directory = fs::File::open(self.path("")).unwrap().into();
        let result = layer(source, directory, expected, &limits, &AtomicU64::new(0));
        feeder.join().unwrap();
        assert_eq!(fs::read_to_string(self.dir.path().join("canary")).unwrap(), "alive", "the canary was touched");
        assert_eq!(fs::read_dir(self.dir.path().join("outside")).unwrap().count(), 0, "something was written outside");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 3, "something was made outside");
        result
    }

    fn unpack(&self, tar: &[u8]) -> Result<Layer, Error> {
        self.unpack_with(tar, tar, Limits::default())
    }
}

fn names_below(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let n = rustix::fs::lgetxattr(path, name, &mut buffer[..]).ok()?;
    buffer.truncate(n);
    Some(buffer)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_kind_of_member_gets_content_owner_mode_and_times() {
    let place = Place::new();
    let tar = Tar::default()
        .member("./", EntryType::Directory, b"", |h| h.set_mode(0o711))
        .member("etc/", EntryType::Directory, b"", |h| {
            h.set_mode(0o2750);
            h.set_uid(10);
            h.set_gid(20);
            h.set_mtime(1_500_000_000);
        })
        .member("etc/passwd", EntryType::Regular, b"root\n", |h| {
            h.set_mode(0o4755);
            h.set_uid(1000);
            h.set_gid(70_000);
        })
        .link("etc/hard", EntryType::Link, "etc/passwd")
        .link("etc/soft", EntryType::Symlink, "/etc/passwd")
        .member("dev/null", EntryType::Char, b"", |h| {
            h.set_mode(0o666);
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
        })
        .member("dev/fifo", EntryType::Fifo, b"", |_| {})
        .file("implied/deep/file", "x")
        .end();
    let usage = place.unpack(&tar).unwrap().usage;
    assert_eq!(usage.inodes, 10);
    let status = |name: &str| fs::symlink_metadata(place.path(name)).unwrap();
    assert_eq!(status("").mode() & 0o7777, 0o711);
    let etc = status("etc");
    assert_eq!((etc.mode() & 0o7777, etc.uid(), etc.gid(), etc.mtime()), (0o2750, 10, 20, 1_500_000_000));
    let passwd = status("etc/passwd");
    assert_eq!((passwd.mode() & 0o7777, passwd.uid(), passwd.gid(), passwd.nlink()), (0o4755, 1000, 70_000, 2));
    assert_eq!(passwd.ino(), status("etc/hard").ino());
    assert_eq!(fs::read_link(place.path("etc/soft")).unwrap(), Path::new("/etc/passwd"));
    let null = status("dev/null");
    assert!(null.file_type().is_char_device() && null.mode() & 0o777 == 0o666);
    assert_eq!(null.rdev(), rustix::fs::makedev(1, 3));
    assert!(status("dev/fifo").file_type().is_fifo());
    assert_eq!(status("implied").mode() & 0o7777, 0o755);
    assert_eq!(fs::read_to_string(place.path("implied/deep/file")).unwrap(), "x");
}

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
fn whiteouts_become_overlay_marks() {
    let place = Place::new();
    let tar = Tar::default()
        .dir("d")
        .file("d/.wh..wh..opq", "")
        .file("d/kept", "k")
        .file(".wh.gone", "")
        .file("sub/.wh.deep", "")
        .file(".wh..wh.plnk/x", "")
        .file(".wh..wh.aufs", "")
        .end();
    place.unpack(&tar).unwrap();
    assert_eq!(xattr(&place.path("d"), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]));
    assert_eq!(names_below(&place.path("d")), ["kept"]);
    for name in ["gone", "sub/deep"] {
        let mark = fs::symlink_metadata(place.path(name)).unwrap();
        assert!(mark.file_type().is_char_device() && mark.rdev() == 0, "{name}");
    }
    assert!(!place.path(".wh..wh.aufs").exists());
}

#[test]
fn a_whiteout_speaks_about_lower_layers_only() {
    let place = Place::new();
    let tar = Tar::default()
        .file("file", "new")
        .file(".wh.file", "")
        .dir("dir")
        .file("dir/inside", "new")
        .file(".wh.dir", "")
        .file(".wh.later", "")
        .file("later/inside", "new")
        .file(".wh.again", "")
        .dir("again")
        .file(".wh.over", "")
        .file("over", "new")
        .end();
    place.unpack(&tar).unwrap();
    for name in ["file", "dir/inside", "later/inside", "over"] {
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), "new", "{name}");
    }
    for name in ["dir", "later", "again"] {
        assert_eq!(xattr(&place.path(name), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]), "{name}");
    }
}

#[test]
fn whiteouts_of_no_name_or_through_links_stay_inside() {
    for bad in [".wh.", ".wh..", ".wh...", "d/.wh..."] {
        assert!(Place::new().unpack(&Tar::default().file(bad, "").end()).is_err(), "{bad}");
    }
    let place = Place::new();
    let tar = Tar::default()
        .link("up", EntryType::Symlink, "../..")
        .file("up/.wh.canary", "")
        .link("abs", EntryType::Symlink, &place.dir.path().join("outside").to_string_lossy())
        .file("abs/.wh..wh..opq", "")
        .end();
    place.unpack(&tar).unwrap();
    assert!(fs::symlink_metadata(place.path("canary")).unwrap().file_type().is_char_device());
    assert_eq!(xattr(&place.dir.path().join("outside"), "trusted.overlay.opaque"), None);
}

#[test]
fn names_that_lead_out_are_refused() {
    for bad in ["../canary", "a/../../canary", "..", "/../canary", "./../canary", "a/b/../../../canary"] {
        let result = Place::new().unpack(&Tar::default().file(bad, "dead").end());
        assert!(matches!(result, Err(Error::Member { .. })), "{bad}: {result:?}");
    }
    let place = Place::new();
    place.unpack(&Tar::default().file("/etc/x", "in").file("a/../b", "in").file("./././c", "in").end()).unwrap();
    for name in ["etc/x", "b", "c"] {
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), "in", "{name}");
    }
}

#[test]
fn writing_through_a_link_stays_inside() {
    let place = Place::new();
    let outside = place.dir.path().join("outside").to_string_lossy().into_owned();
    let tar = Tar::default()
        .link("abs", EntryType::Symlink, &outside)
        .file("abs/planted", "x")
        .link("rel", EntryType::Symlink, "../outside")
        .file("rel/planted", "x")
        .link("one", EntryType::Symlink, "two")
        .link("two", EntryType::Symlink, "../../..")
        .file("one/canary", "x")
        .link("last", EntryType::Symlink, "../canary")
        .file("last", "replaced")
        .dir("real")
        .link("to", EntryType::Symlink, "real")
        .file("to/file", "through")
        .end();
    place.unpack(&tar).unwrap();
    assert_eq!(fs::read_to_string(place.path("canary")).unwrap(), "x");
    assert_eq!(fs::read_to_string(place.path("last")).unwrap(), "replaced");
    assert_eq!(fs::read_to_string(place.path("real/file")).unwrap(), "through");
    assert_eq!(fs::read_to_string(place.path(&outside[1..]).join("planted")).unwrap(), "x");
}

#[test]
fn link_loops_and_files_on_the_way_are_errors() {
    let looped = Tar::default().link("a", EntryType::Symlink, "b").link("b", EntryType::Symlink, "a").file("a/x", "");
    assert!(matches!(Place::new().unpack(&looped.end()), Err(Error::Place { .. })));
    let blocked = Tar::default().file("a", "").file("a/x", "");
    assert!(matches!(Place::new().unpack(&blocked.end()), Err(Error::Place { .. })));
}

#[test]
fn hard_links_reach_nothing_outside() {
    for target in ["../canary", "/../canary", "..", "/", "absent", "absent/x", "."] {
        let result = Place::new().unpack(&Tar::default().link("h", EntryType::Link, target).end());
        assert!(result.is_err(), "{target}");
    }
    let place = Place::new();
    let canary = place.dir.path().join("canary").to_string_lossy().into_owned();
    assert!(place.unpack(&Tar::default().link("h", EntryType::Link, &canary).end()).is_err());
    // A link to a link is one more name of the link, not of what it points to.
    let place = Place::new();
    let tar = Tar::default()
        .link("s", EntryType::Symlink, "../canary")
        .link("h", EntryType::Link, "s")
        .link("up", EntryType::Symlink, "..")
        .member("h2", EntryType::Regular, b"x", |_| {})
        .link("h2", EntryType::Link, "h2")
        .end();
    place.unpack(&tar).unwrap();
    assert!(fs::symlink_metadata(place.path("h")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(place.path("h2")).unwrap(), "x");
    assert!(
        Place::new()
            .unpack(&Tar::default().link("up", EntryType::Symlink, "..").link("h", EntryType::Link, "up/canary").end())
            .is_err()
    );
}

#[test]
fn later_members_replace_earlier_ones() {
    let place = Place::new();
    let tar = Tar::default()
        .file("x", "1")
        .file("x", "22")
        .dir("d")
        .file("d/deep/er", "")
        .file("d", "file now")
        .file("f", "")
        .dir("f")
        .file("f/in", "")
        .dir("m")
        .file("m/stays", "")
        .member("m", EntryType::Directory, b"", |h| h.set_mode(0o700))
        .link("l", EntryType::Symlink, "m")
        .dir("l")
        .end();
    let usage = place.unpack(&tar).unwrap().usage;
    assert_eq!(fs::read_to_string(place.path("x")).unwrap(), "22");
    assert_eq!(fs::read_to_string(place.path("d")).unwrap(), "file now");
    assert_eq!(names_below(&place.path("f")), ["in"]);
    assert_eq!(names_below(&place.path("m")), ["stays"]);
    assert_eq!(fs::metadata(place.path("m")).unwrap().mode() & 0o777, 0o700);
    assert!(fs::symlink_metadata(place.path("l")).unwrap().is_dir());
    assert_eq!(usage.inodes, 8);
}

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
fn what_is_replaced_takes_away_what_it_was_counted_for() {
    let place = Place::new();
    let sparse = |tar: Tar| {
        let records = [("size", &b"1000000"[..]), ("numblocks", b"2"), ("map", b"5000,2,900000,2")];
        let records = records.map(|(key, value)| (format!("GNU.sparse.{key}"), value));
        tar.pax(&records.each_ref().map(|(key, value)| (key.as_str(), *value))).file("sparse", "abcd")
    };
    let tar = sparse(Tar::default().file("dense", &"x".repeat(20_000)).link("link", EntryType::Symlink, "dense"));
    let before = Usage { bytes: 4096 + 20_480 + 2 * 4096, inodes: 4 };
    assert_eq!(Place::new().unpack(&tar.end()).unwrap().usage, before);
    // The same members again, and then others in their places.
    let tar = sparse(Tar::default().file("dense", &"x".repeat(20_000)).link("link", EntryType::Symlink, "dense"));
    let tar = sparse(tar.link("link", EntryType::Symlink, "sparse"));
    let tar = tar.file("sparse", "x").file("link", "").dir("dense");
    assert_eq!(place.unpack(&tar.end()).unwrap().usage, Usage { bytes: 3 * 4096, inodes: 4 });
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
    // 2 GiB of zeros in 2 MB; a long name of 1 GiB; both end early.
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
fn a_sparse_map_without_an_end_is_refused() {
    let mut tar = Tar::default().member("s", EntryType::GNUSparse, b"", |h| {
        h.as_gnu_mut().unwrap().set_real_size(10);
        h.as_gnu_mut().unwrap().set_is_extended(true);
    });
    // No piece in it, and each says that another follows.
    let mut block = tar::GnuExtSparseHeader::new();
    block.set_is_extended(true);
    for _ in 0..5000 {
        tar.0.extend_from_slice(block.as_bytes());
    }
    let result = Place::new().unpack(&tar.0);
    assert!(matches!(&result, Err(Error::Malformed(why)) if why.contains("too many")), "{result:?}");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll<'a, T>(&mut self, sides: &'a [T]) -> &'a T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &sides[(self.0 >> 33) as usize % sides.len()]
    }
}

/// Members of every kind under every sort of name, one leading to the next: links first, then what goes through them.
#[test]
fn five_hundred_archives_of_hostile_members_stay_inside() {
    const KINDS: [EntryType; 9] = [
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
    ];
    let mut dice = Dice(20_240_101);
    let (mut placed, mut refused) = (0, 0);
    for _ in 0..500 {
        let place = Place::new();
        let host = place.dir.path().to_string_lossy().into_owned();
        let (outside, canary) = (format!("{host}/outside"), format!("{host}/canary"));
        let names = [
            "a",
            "b",
            "a/b",
            "b/a",
            "a/canary",
            "b/canary",
            "a/outside/x",
            "./a",
            "a/",
            "/a",
            "a/../b",
            "../canary",
            "a/..",
            "..",
            ".",
            "a//b/./canary",
            ".wh.a",
            ".wh.canary",
            "a/.wh.canary",
            "a/.wh..wh..opq",
            "b/.wh.outside",
            ".wh..",
            "canary",
            "outside/x",
            &canary,
            &outside,
        ];
        let targets = [
            "..",
            "../..",
            "../canary",
            "../outside",
            "/",
            "/..",
            ".",
            "a",
            "b",
            "a/..",
            "b/../..",
            "a/canary",
            "../../../..",
            "/proc/self/cwd",
            "/proc/self/root",
            "/dev/fd/0",
            &outside,
            &canary,
            &host,
        ];
        let mut tar = Tar::default();
        for _ in 0..4 {
            let (name, kind, target) = (*dice.roll(&names), *dice.roll(&KINDS), *dice.roll(&targets));
            if *dice.roll(&[true, false, false]) {
                let (path, link) = (dice.roll(&names).as_bytes(), dice.roll(&targets).as_bytes());
                tar = tar.pax(&[("path", path), ("linkpath", link), ("SCHILY.xattr.user.x", b"y"), ("mtime", b"1")]);
            }
            tar = match kind {
                EntryType::Symlink | EntryType::Link => tar.link(name, kind, target),
                EntryType::Regular => tar.file(name, "dead"),
                _ => tar.member(name, kind, b"", |h| {
                    h.set_mode(0o4777);
                    h.set_uid(4711);
                    h.set_device_major(1).unwrap();
                    h.set_device_minor(3).unwrap();
                }),
            };
        }
        let facts = |path: &str| {
            let found = fs::symlink_metadata(path).unwrap();
            let xattrs = rustix::fs::llistxattr(path, &mut [0; 256][..]).unwrap();
            (found.ino(), found.mode(), found.uid(), found.nlink(), found.mtime_nsec(), found.mtime(), xattrs)
        };
        let before = [&host, &outside, &canary].map(|path| facts(path));
        // Unpacking looks for what was made or written outside; this for what was changed.
        match place.unpack(&tar.end()) {
            Ok(_) => placed += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(before, [&host, &outside, &canary].map(|path| facts(path)));
    }
    assert!(placed > 20 && refused > 20, "{placed} placed, {refused} refused");
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

#[test]
fn umask_and_setgid_parents_change_nothing() {
    let place = Place::new();
    let tar = Tar::default()
        .member("d", EntryType::Directory, b"", |h| {
            h.set_mode(0o2777);
            h.set_gid(55);
        })
        .member("d/f", EntryType::Regular, b"", |h| h.set_mode(0o666))
        .end();
    place.unpack(&tar).unwrap();
    let file = fs::metadata(place.path("d/f")).unwrap();
    assert_eq!((file.gid(), file.permissions().mode() & 0o7777), (0, 0o666));
}

/// The names in an unpacked archive, or its error.
fn read_as_go(tar: Tar) -> Result<Vec<String>, String> {
    let place = Place::new();
    place.unpack(&tar.end()).map(|_| names_below(&place.path(""))).map_err(|e| e.to_string())
}

#[test]
fn names_and_types_are_those_that_go_reads() {
    let gnu = |tar: Tar, name: &str| tar.member("././@LongLink", EntryType::GNULongName, name.as_bytes(), |_| {});
    // GNU's long name wins over the path of an extended header, unless it is empty.
    let both = gnu(Tar::default().pax(&[("path", b"pax")]), "gnu\0").file("own", "");
    assert_eq!(read_as_go(both).unwrap(), ["gnu"]);
    let empty = gnu(Tar::default().pax(&[("path", b"pax")]), "\0").file("own", "");
    assert_eq!(read_as_go(empty).unwrap(), ["pax"]);
    // A slash at the end makes a directory of the oldest type only.
    let place = Place::new();
    let old = |tar: Tar, name: &str| tar.member(name, EntryType::Regular, b"", |h| h.as_old_mut().linkflag = [0]);
    place.unpack(&old(Tar::default().file("file/", "x"), "dir/").end()).unwrap();
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "x");
    assert!(place.path("dir").is_dir());
    // An extended header of the whole archive takes away what was said before it.
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
    assert!(error.contains("behind the zero block"), "{error}");
    let padding = Tar::default().file("a", "x").0;
    assert!(Place::new().unpack(&padding[..513]).is_ok(), "the stream may end within padding");
}

#[test]
fn times_that_other_runtimes_do_not_set_are_the_start_of_1970() {
    let place = Place::new();
    let dated = |tar: Tar, mtime: &[u8], name: &str| tar.pax(&[("mtime", mtime)]).file(name, "");
    let tar = dated(Tar::default(), b"-1.5", "before");
    let tar = dated(tar, b"9223372036.9", "after");
    let tar = dated(tar, b"9223372036.8", "last").pax(&[("atime", b"1700000000")]).file("read", "");
    place.unpack(&tar.pax(&[("mtime", b"-62135596800")]).dir("d").end()).unwrap();
    let times = |name: &str| fs::metadata(place.path(name)).map(|m| (m.mtime(), m.mtime_nsec(), m.atime())).unwrap();
    assert_eq!((times("before"), times("after"), times("d")), ((0, 0, 0), (0, 0, 0), (0, 0, 0)));
    assert_eq!(times("read"), (1_600_000_000, 0, 1_700_000_000));
    // How late a time can be is the file system's own business.
    assert!(times("last").0 > 1 << 31);
}

#[test]
fn directories_that_no_member_describes_are_told() {
    let place = Place::new();
    let tar = Tar::default()
        .dir("described")
        .file("described/f", "")
        .file("late/f", "")
        .dir("late")
        .file("file/f", "")
        .link("link/l", EntryType::Symlink, "x")
        .link("hard/h", EntryType::Link, "file/f")
        .file("gone/.wh.x", "")
        .file("opaque/deep/.wh..wh..opq", "")
        .link("to", EntryType::Symlink, "described")
        .file("to/through/f", "")
        .dir("to/dir")
        .file("to/dir/f", "")
        .file("re/placed/f", "")
        .file("re/placed", "file now")
        .file(".wh.anew", "")
        .file("anew/f", "")
        .file("later/f", "")
        .file(".wh.later", "");
    let told = place.unpack(&tar.end()).unwrap();
    let implied: Vec<_> = told.implied.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let wanted = ["described/through", "file", "gone", "hard", "link", "opaque", "opaque/deep", "re", "re/placed"];
    assert_eq!(implied, wanted, "re/placed was one: whoever reads the list looks what it is");
    assert!(!told.describes_root);
    assert!(Place::new().unpack(&Tar::default().dir("./").end()).unwrap().describes_root);
}

#[test]
fn a_hard_link_to_a_lower_layers_file_says_what_is_wrong() {
    for target in ["bin/sh", "only-below"] {
        let error = Place::new().unpack(&Tar::default().link("h", EntryType::Link, target).end()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(target) && text.contains("not in this layer"), "{text}");
        assert!(error.is_of_the_image());
    }
    let error = Place::new().unpack(&Tar::default().dir("d").link("h", EntryType::Link, "d").end()).unwrap_err();
    assert!(error.to_string().contains("to a directory"), "{error}");
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
