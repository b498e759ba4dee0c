// SPDX-License-Identifier: Apache-2.0
//! Tests both ways to build an overlay, in a single test, so that no other thread runs in the process that is cloned.

#![allow(unsafe_code)] // This file itself proves that no other thread runs.

use gorae_proto::shim::{IdMap, UserMapping};
use gorae_shim::idmap::{IdMaps, UserNamespace};
use gorae_shim::overlay;
use gorae_shim::sys::Single;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn names(tree: &OwnedFd) -> Vec<String> {
    let root = rustix::fs::openat(tree, ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("readable");
    let entries = rustix::fs::Dir::read_from(&root).expect("readable");
    let mut names: Vec<_> = entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn owner(tree: &OwnedFd, name: &str) -> u32 {
    rustix::fs::statat(tree, name, rustix::fs::AtFlags::empty()).expect("readable").st_uid
}

fn make_file(tree: &OwnedFd, name: &str) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    rustix::fs::openat(tree, name, flags, Mode::RUSR).expect("readable");
}

#[test]
fn the_helper_builds_the_same_root_as_the_direct_way() {
    // SAFETY: this is the only test here, and the harness's own thread only waits for it.
    let single = unsafe { Single::assume() };
    let dir = tempfile::tempdir().unwrap();
    let mut layers = Vec::new();
    for n in 0..60 {
        let layer = dir.path().join(format!("layer with: odd, \\ name {n}"));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(n.to_string()), "").unwrap();
        layers.push(layer.display().to_string());
    }
    let fresh = |name: &str| {
        let root_dir = dir.path().join(name);
        fs::create_dir(&root_dir).unwrap();
        root_dir
    };
    let direct_dir = fresh("direct");
    let direct = overlay::writable(&layers, &direct_dir, None, (0, 0), single).unwrap();
    let helper_dir = fresh("helper");
    let helper = overlay::writable_by_helper(&layers, &helper_dir, None, (0, 0), single).unwrap();
    assert_eq!(names(&direct).len(), 62);
    assert_eq!(names(&direct), names(&helper));
    make_file(&helper, "made");
    assert!(helper_dir.join("upper/made").exists());

    let map = vec![IdMap { container_id: 0, host_id: 70_000, length: 1000 }];
    let maps = IdMaps::checked(UserMapping { uids: map.clone(), gids: map }).unwrap();
    let namespace = UserNamespace::with(&maps, &IdMaps::default(), None, single).unwrap();
    for (name, build) in
        [("mapped", overlay::writable as fn(&[String], &Path, _, _, _) -> _), ("by", overlay::writable_by_helper)]
    {
        let root_dir = fresh(name);
        let tree = build(&layers, &root_dir, Some(namespace.as_fd()), (70_000, 70_000), single).unwrap();
        assert_eq!((owner(&tree, "."), owner(&tree, "0"), owner(&tree, "59")), (70_000, 70_000, 70_000), "{name}");
        assert_eq!(fs::metadata(root_dir.join("upper")).unwrap().uid(), 70_000);
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&dir.path().display().to_string()), "nothing may be attached");

    layers = (0..400).map(|_| layers[0].clone()).collect();
    let failure = overlay::writable_by_helper(&layers, &fresh("many"), None, (0, 0), single).unwrap_err();
    assert_eq!(failure.kind(), gorae_shim::failure::Kind::Unimplemented);
}
