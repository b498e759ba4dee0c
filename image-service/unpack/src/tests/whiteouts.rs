// SPDX-License-Identifier: Apache-2.0
//! Members that hide the content of lower layers.

use crate::fixture::Tar;
use crate::tests::place::{Place, names_below, xattr};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use tar::EntryType;

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
