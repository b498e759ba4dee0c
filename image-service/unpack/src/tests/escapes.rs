// SPDX-License-Identifier: Apache-2.0
//! Attempts to escape from the layer. None of them works.

use crate::error::Error;
use crate::fixture::Tar;
use crate::tests::place::Place;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use tar::EntryType;

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
    // A hard link to a symbolic link is another name of the link, not of its target.
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

/// Pseudo-random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll<'a, T>(&mut self, sides: &'a [T]) -> &'a T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &sides[(self.0 >> 33) as usize % sides.len()]
    }
}

/// Members of every kind under all sorts of names that lead to each other: links first, then members that go through them.
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
        // Unpacking checks for files that were created or written outside; this checks for files that were changed.
        match place.unpack(&tar.end()) {
            Ok(_) => placed += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(before, [&host, &outside, &canary].map(|path| facts(path)));
    }
    assert!(placed > 20 && refused > 20, "{placed} placed, {refused} refused");
}
