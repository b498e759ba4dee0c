// SPDX-License-Identifier: Apache-2.0
//! Directories that a layer only implies look as the nearest lower layer describes them, as the kernel's overlay shows it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::Node;
use fixture::debian::Registry;
use fixture::image::{Flavour, Layer, Packing, image, pack};
use gorae_kernel::checked;
use gorae_unpack::fixture::Tar;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tar::EntryType;

/// The default access list with an entry for user 1000, in the form of the kernel's attribute.
const LIST: &str = "system.posix_acl_default";

fn layer(tar: Tar) -> Layer {
    pack(Packing::Gzip, &tar.end())
}

fn access_list() -> Vec<u8> {
    let entries = [(1u16, 7u16, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 5, u32::MAX)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permission, id) in entries {
        list.extend([&tag.to_le_bytes()[..], &permission.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    list
}

/// The directories of an image, mounted read-only as a container would mount them.
struct Shown(tempfile::TempDir);

impl Shown {
    fn of(layers: &[PathBuf]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("root")).unwrap();
        // Add an empty one below: the kernel requires two.
        let below = dir.path().join("below");
        std::fs::create_dir(&below).unwrap();
        let all: Vec<String> = layers.iter().chain([&below]).map(|path| path.display().to_string()).collect();
        let options = format!("lowerdir={}", all.join(":"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "-o", &options, "gorae-directories-test"]).arg(dir.path().join("root"));
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("root").join(name)
    }

    /// Mode and owner.
    fn is(&self, name: &str) -> (u32, u32, u32) {
        let found = std::fs::symlink_metadata(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(found.is_dir(), "{name}");
        (found.mode() & 0o7777, found.uid(), found.gid())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path("")).status();
    }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Pulls an image of these layers, holds it for the owner `name`, and mounts it.
async fn shown(registry: &Registry, node: &Node, name: &str, layers: &[Layer]) -> (Shown, Vec<PathBuf>) {
    let made = image(Flavour::Oci, layers.to_vec());
    let pushed = registry.push(name, "1", &made).await;
    let id = node.images.pull(&pushed, None).await.unwrap().id.clone();
    let held = node.images.hold(&id, name).unwrap().layers;
    (Shown::of(&held), held)
}

fn base() -> Layer {
    layer(
        Tar::default()
            .owned_dir("tmp/", 0o1777, (0, 0))
            .owned_dir("root/", 0o700, (0, 0))
            .owned_dir("home/", 0o755, (0, 0))
            .owned_dir("home/bob/", 0o750, (1000, 1000))
            .xattr(LIST, &access_list())
            .owned_dir("srv/", 0o2775, (0, 50))
            .owned_dir("opt/", 0o700, (7, 7))
            .owned_dir("mnt/", 0o711, (3, 3))
            .owned_dir("usr/", 0o755, (0, 0))
            .file("usr/hidden", ""),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_implied_directory_is_as_the_nearest_lower_layer_describes_it() {
    let (registry, node) = (Registry::open().await, Node::new());
    let again = layer(Tar::default().owned_dir("opt/", 0o711, (8, 8)).file("mnt/second", ""));
    let top = layer(
        Tar::default()
            .file("tmp/x", "")
            .file("home/bob/app/run", "")
            .link("root/l", EntryType::Symlink, "x")
            .link("srv/hard", EntryType::Link, "tmp/x")
            .file("opt/.wh.gone", "")
            .file("mnt/.wh..wh..opq", "")
            .file("usr/.wh.hidden", "")
            .file("new/f", ""),
    );
    let (shown, held) = shown(&registry, &node, "app", &[base(), again, top]).await;
    assert_eq!(held.len(), 4, "three layers and the directories");
    assert_eq!(shown.is("tmp"), (0o1777, 0, 0));
    assert_eq!((shown.is("home"), shown.is("home/bob")), ((0o755, 0, 0), (0o750, 1000, 1000)));
    assert_eq!((shown.is("home/bob/app"), shown.is("new")), ((0o755, 0, 0), (0o755, 0, 0)));
    assert_eq!(shown.is("root"), (0o700, 0, 0));
    assert_eq!(shown.is("srv"), (0o2775, 0, 50));
    assert_eq!(shown.is("opt"), (0o711, 8, 8), "the second layer's, not the lowest");
    assert_eq!(shown.is("usr"), (0o755, 0, 0));
    let lowest = held.last().unwrap();
    assert_eq!(xattr(&shown.path("srv"), LIST), xattr(&lowest.join("srv"), LIST));
    assert_eq!(std::fs::metadata(shown.path("tmp")).unwrap().mtime(), 1_600_000_000);
    assert_eq!(shown.is("mnt"), (0o711, 3, 3), "the mark hides what is in the directory, not what it is");
    assert!(!shown.path("mnt/second").exists() && !shown.path("usr/hidden").exists());
    assert!(shown.path("home/bob/app/run").exists() && shown.path("root/l").is_symlink());
    let tree: Vec<_> = fixture::entries(&held[0]);
    assert_eq!(tree, ["home", "mnt", "opt", "root", "srv", "tmp"], "nothing but what has to be");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_takes_nothing_from_what_it_replaces() {
    let (registry, node) = (Registry::open().await, Node::new());
    let below = layer(
        Tar::default()
            .owned_dir("gone/", 0o700, (5, 5))
            .owned_dir("gone/sub/", 0o700, (5, 5))
            .owned_dir("cleared/", 0o700, (5, 5))
            .owned_dir("cleared/sub/", 0o711, (5, 5))
            .owned_dir("file/", 0o700, (5, 5))
            .owned_dir("both/", 0o700, (5, 5))
            .owned_dir("late/", 0o700, (5, 5))
            .owned_dir("tmp/", 0o1777, (0, 0))
            .owned_dir("var/", 0o755, (0, 0))
            .link("var/tmp", EntryType::Symlink, "/tmp")
            .link("loop", EntryType::Symlink, "loop")
            .link("out", EntryType::Symlink, "../../../../etc"),
    );
    let removes = layer(Tar::default().file(".wh.gone", "").file("cleared/.wh..wh..opq", "").file("file", ""));
    let adds = layer(
        Tar::default()
            .file("gone/sub/f", "")
            .file("cleared/sub/f", "")
            .file("file/f", "")
            .file(".wh.both", "")
            .file("both/f", "")
            .file("late/f", "")
            .file(".wh.late", "")
            .file("var/tmp/f", "")
            .file("loop/f", "")
            .file("out/f", ""),
    );
    let (shown, held) = shown(&registry, &node, "anew", &[below, removes, adds]).await;
    for name in ["gone", "gone/sub", "cleared/sub", "file", "both", "loop", "out", "late"] {
        assert_eq!(shown.is(name), (0o755, 0, 0), "{name}");
    }
    assert_eq!(shown.is("cleared"), (0o700, 5, 5), "what was in it is new, not the directory");
    assert_eq!(shown.is("var/tmp"), (0o1777, 0, 0), "what the link led to, as containerd does it");
    assert_eq!(fixture::entries(&held[0]), ["cleared", "var"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_directories_are_right_has_nothing_on_top() {
    let (registry, node) = (Registry::open().await, Node::new());
    let plain = layer(Tar::default().owned_dir("usr/", 0o755, (0, 0)).owned_dir("usr/bin/", 0o755, (0, 0)).owned_dir(
        "tmp/",
        0o1777,
        (0, 0),
    ));
    let full = layer(Tar::default().owned_dir("tmp/", 0o1777, (0, 0)).file("tmp/x", ""));
    let same = layer(Tar::default().file("usr/bin/tool", "").file("fresh/deep/f", ""));
    let single = layer(Tar::default().file("only/implied/f", ""));
    for (name, layers) in [("full", vec![plain.clone(), full]), ("same", vec![plain, same]), ("single", vec![single])] {
        let (_, held) = shown(&registry, &node, name, &layers).await;
        assert_eq!(held.len(), layers.len(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_as_the_topmost_layer_that_describes_it_says() {
    let (registry, node) = (Registry::open().await, Node::new());
    let lower = layer(Tar::default().owned_dir("./", 0o1775, (1000, 1000)).file("a", ""));
    let middle = layer(Tar::default().owned_dir("./", 0o711, (5, 6)).file("b", ""));
    let silent = layer(Tar::default().file("c", ""));
    for (name, layers, wanted) in [
        ("none", vec![silent.clone()], (0o755, 0, 0)),
        ("below", vec![lower.clone(), silent.clone()], (0o1775, 1000, 1000)),
        ("two", vec![lower, middle.clone(), silent.clone()], (0o711, 5, 6)),
        ("top", vec![silent, middle], (0o711, 5, 6)),
    ] {
        let (shown, held) = shown(&registry, &node, name, &layers).await;
        assert_eq!(shown.is(""), wanted, "{name}");
        let first = std::fs::metadata(&held[0]).unwrap();
        assert_eq!(
            (first.mode() & 0o7777, first.uid(), first.gid()),
            wanted,
            "{name}: what a container's root begins as"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_there_already_gets_what_the_next_images_lower_layers_say() {
    let (registry, node) = (Registry::open().await, Node::new());
    let other = layer(Tar::default().owned_dir("tmp/", 0o1770, (9, 9)));
    let top = layer(Tar::default().file("tmp/x", ""));
    let (first, one) = shown(&registry, &node, "first", &[base(), top.clone()]).await;
    let (second, two) = shown(&registry, &node, "second", &[other, top]).await;
    assert_eq!((first.is("tmp"), second.is("tmp")), ((0o1777, 0, 0), (0o1770, 9, 9)));
    assert_ne!(one[0], two[0]);
    assert_eq!(one[1], two[1], "the layer itself is shared");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directories_on_top_are_counted_kept_collected_and_made_again() {
    let (registry, node) = (Registry::open().await, Node::new());
    let layers = [base(), layer(Tar::default().file("home/bob/x", ""))];
    let made = image(Flavour::Oci, layers.to_vec());
    let name = registry.push("kept", "1", &made).await;
    let pulled = node.images.pull(&name, None).await.unwrap();
    let usage = node.images.usage();
    // Ten and four from the layers; and the tree's own root, home and bob.
    assert_eq!(usage.inodes_used, 10 + 4 + 3);
    assert!(pulled.size > usage.used_bytes, "the config as well");
    let held = node.images.hold(&pulled.id, "c").unwrap().layers;
    assert_eq!((held.len(), node.layers().len()), (3, 3));

    let node = node.reopen();
    assert_eq!((node.images.usage(), node.images.list()[0].size), (usage.clone(), pulled.size));
    node.images.hold_layers(&held, "c").unwrap();
    assert_eq!(node.images.collect().layers, 0);
    node.images.remove(&name).unwrap();
    assert!(held[0].join("home/bob").is_dir(), "a container has it");
    node.images.release("c");
    assert!(node.layers().is_empty());
    assert_eq!((node.images.usage().used_bytes, node.images.usage().inodes_used), (0, 0));

    // Without its record, or without any of it, a restart creates it again from the layers.
    node.images.pull(&name, None).await.unwrap();
    let mut node = node;
    for damage in [std::fs::remove_dir_all as fn(PathBuf) -> _, |tree| std::fs::write(tree.join("record"), "")] {
        damage(held[0].parent().unwrap().to_owned()).unwrap();
        node = node.reopen();
        assert_eq!(node.images.usage(), usage);
        let shown = Shown::of(&node.images.hold(&pulled.id, "again").unwrap().layers);
        assert_eq!(shown.is("home/bob"), (0o750, 1000, 1000));
        node.settle();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_an_older_gorae_is_mended_by_its_next_pull() {
    let (registry, node) = (Registry::open().await, Node::new());
    let layers = [base(), layer(Tar::default().file("home/bob/x", ""))];
    let made = image(Flavour::Oci, layers.to_vec());
    let name = registry.push("old", "1", &made).await;
    let pulled = node.images.pull(&name, None).await.unwrap();
    // Makes the records look like those of an older version, without the newer fields.
    let forget = |path: &Path, kind: &str, keys: &[&str]| {
        let bytes = std::fs::read(path).unwrap();
        let mut body: serde_json::Value =
            serde_json::from_slice(checked::decode(kind, 1, &bytes).unwrap().body).unwrap();
        keys.iter().for_each(|key| drop(body.as_object_mut().unwrap().remove(*key).unwrap()));
        std::fs::write(path, checked::encode(kind, 1, body.to_string().as_bytes())).unwrap();
    };
    let file = |digest: &gorae_digest::Digest| format!("sha256-{}", digest.hex());
    let layer = |n: usize| node.root().join("layers").join(file(&made.layers[n].diff_id));
    (0..2).for_each(|n| forget(&layer(n).join("record"), "layer", &["implied"]));
    std::fs::remove_file(layer(1).join("implied")).unwrap();
    forget(&node.root().join("images").join(file(&made.id)), "image", &["top"]);
    let files = layer(1).join("fs");
    let inode = std::fs::metadata(&files).unwrap().ino();

    let node = node.reopen();
    node.images.collect();
    let held = node.images.hold(&pulled.id, "c").unwrap().layers;
    assert_eq!(held.len(), 2, "it goes on as it was");
    let again = node.images.pull(&name, None).await.unwrap();
    assert_eq!((again.id.as_str(), &again.repo_tags), (pulled.id.as_str(), &pulled.repo_tags));
    assert_eq!(std::fs::metadata(&files).unwrap().ino(), inode, "a container has the files mounted");
    let node = node.reopen();
    let shown = Shown::of(&node.images.hold(&pulled.id, "d").unwrap().layers);
    assert_eq!(shown.is("home/bob"), (0o750, 1000, 1000));
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_whose_list_is_damaged_is_fetched_again_with_the_next_image() {
    let (registry, node) = (Registry::open().await, Node::new());
    let top = layer(Tar::default().file("tmp/x", ""));
    let list = node.root().join("layers").join(format!("sha256-{}", top.diff_id.hex())).join("implied");
    let (_first, _) = shown(&registry, &node, "first", &[base(), top.clone()]).await;
    std::fs::write(&list, "nothing").unwrap();
    let other = layer(Tar::default().owned_dir("tmp/", 0o1770, (9, 9)));
    let name = registry.push("second", "1", &image(Flavour::Oci, vec![other, top])).await;
    let error = node.images.pull(&name, None).await.unwrap_err().message();
    assert!(error.contains("pull the image again"), "{error}");
    let id = node.images.pull(&name, None).await.unwrap().id.clone();
    let shown = Shown::of(&node.images.hold(&id, "second").unwrap().layers);
    assert_eq!(shown.is("tmp"), (0o1770, 9, 9));
}
