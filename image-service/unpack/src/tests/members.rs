// SPDX-License-Identifier: Apache-2.0
//! Ordinary members: what they become, and what replaces what.

use crate::fixture::Tar;
use crate::tests::place::{Place, names_below};
use crate::unpacked::Usage;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use tar::EntryType;

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
    // The same members again, and then others in place of them.
    let tar = sparse(Tar::default().file("dense", &"x".repeat(20_000)).link("link", EntryType::Symlink, "dense"));
    let tar = sparse(tar.link("link", EntryType::Symlink, "sparse"));
    let tar = tar.file("sparse", "x").file("link", "").dir("dense");
    assert_eq!(place.unpack(&tar.end()).unwrap().usage, Usage { bytes: 3 * 4096, inodes: 4 });
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
    // The latest possible time depends on the file system.
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
