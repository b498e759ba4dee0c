// SPDX-License-Identifier: Apache-2.0
//! What stays on disk: holds, removal, restarts, damaged records, a full disk.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::debian::Registry;
use fixture::image::{Flavour, Packing, image, layer, noise};
use fixture::{Node, entries, eventually};
use gorae_image_service::{Config, Images, Kind, Reserve};
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn held_layers_stay_until_their_last_owner_releases_them() {
    let (registry, node) = (Registry::open().await, Node::new());
    let shared = layer(Packing::Gzip, &[("shared", b"1")]);
    let one = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("one", b"1")])]);
    let two = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("two", b"1")])]);
    let (first, second) = (registry.push("app", "1", &one).await, registry.push("app", "2", &two).await);
    node.images.pull(&first, None).await.unwrap();
    node.images.pull(&second, None).await.unwrap();
    assert_eq!(node.layers().len(), 3);
    let held = node.images.hold(&one.id.to_string(), "container-1").unwrap();
    node.images.hold(&one.id.to_string(), "container-2").unwrap();
    node.images.remove(&first).unwrap();
    assert_eq!(node.images.list().len(), 1);
    assert_eq!(node.images.hold(&one.id.to_string(), "late").unwrap_err().kind(), Kind::NotFound);
    assert!(held.layers[0].join("one").exists());
    node.images.release("container-1");
    assert!(held.layers[0].join("one").exists());

    let node = node.reopen();
    node.images.hold_layers(&held.layers, "container-2").unwrap();
    node.images.collect();
    assert!(held.layers[0].join("one").exists());
    node.images.release("container-2");
    node.images.release("container-2");
    assert!(!held.layers[0].exists());
    assert_eq!(node.layers().len(), 2, "the other image's layers stay");
    node.images.remove(&second).unwrap();
    assert!(node.layers().is_empty());
    assert_eq!((node.images.usage().used_bytes, node.images.usage().inodes_used), (0, 0));
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_layers_of_this_store_can_be_held() {
    let node = Node::new();
    let inside = node.root().join("layers");
    for bad in [Path::new("/etc"), Path::new("/"), &inside, &inside.join("x/fs"), &inside.join("../temp/fs")] {
        assert!(node.images.hold_layers(&[bad.to_owned()], "c").is_err(), "{bad:?}");
    }
    let absent = inside.join(format!("sha256-{}", "0".repeat(64))).join("fs");
    assert!(node.images.hold_layers(&[absent], "c").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn five_removals_at_once_all_succeed_and_see_it_gone() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let name = registry.push("app", "1", &made).await;
    let id = node.images.pull(&name, None).await.unwrap().id.clone();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                node.images.remove(&id).unwrap();
                assert!(node.images.find(&id).unwrap().is_none());
                assert!(node.images.list().is_empty());
            });
        }
    });
    node.images.remove("never/there:1").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_the_same_images_and_sizes() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Zstd, &[("f", &noise(100_000, 3))])]);
    let name = registry.push("app", "1", &made).await;
    node.images.pull(&name, None).await.unwrap();
    let (before, usage) = (format!("{:?}", node.images.list()), node.images.usage());
    assert!(usage.used_bytes > 100_000 && usage.inodes_used == 2, "{usage:?}");
    std::fs::create_dir_all(node.root().join("temp/layer-1-0/fs/deep")).unwrap();
    let node = node.reopen();
    assert_eq!(format!("{:?}", node.images.list()), before);
    assert_eq!(node.images.usage(), usage);
    node.settle();
    assert!(Images::open(Config::new(node.root())).is_err(), "two processes in one store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_costs_its_own_object_and_a_pull_repairs_it() {
    let (registry, node) = (Registry::open().await, Node::new());
    let mut names = Vec::new();
    for n in 0..3u8 {
        let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", &[n])])]);
        names.push((registry.push(&format!("app{n}"), "1", &made).await, made));
    }
    for (name, _) in &names {
        node.images.pull(name, None).await.unwrap();
    }
    let file = |digest: &gorae_digest::Digest| format!("sha256-{}", digest.hex());
    let image_record = node.root().join("images").join(file(&names[0].1.id));
    let layer_record = node.root().join("layers").join(file(&names[1].1.layers[0].diff_id)).join("record");
    let mut bytes = std::fs::read(&image_record).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 0x10;
    std::fs::write(&image_record, bytes).unwrap();
    std::fs::write(&layer_record, b"").unwrap();
    std::fs::write(node.root().join("images/junk"), b"x").unwrap();
    std::fs::write(node.root().join("names/junk"), b"x").unwrap();
    let node = node.reopen();
    assert_eq!(node.images.list().len(), 1);
    assert!(node.images.find(&names[2].0).unwrap().is_some());
    for (name, made) in &names {
        let pulled = node.images.pull(name, None).await.unwrap();
        assert_eq!(pulled.id, made.id.to_string());
    }
    let node = node.reopen();
    assert_eq!(node.images.list().len(), 3);
    assert!(node.images.list().iter().all(|image| image.repo_tags.len() == 1));
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lost_a_layer_while_nobody_looked_is_gone_whole_and_never_comes_back_nameless() {
    let (registry, node) = (Registry::open().await, Node::new());
    let shared = layer(Packing::Gzip, &[("shared", b"1")]);
    let one = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("one", b"1")])]);
    let two = image(Flavour::Oci, vec![shared.clone(), layer(Packing::Gzip, &[("two", b"1")])]);
    let (first, second) = (registry.push("one", "1", &one).await, registry.push("two", "1", &two).await);
    node.images.pull(&first, None).await.unwrap();
    let Node { dir, images } = node;
    let config = images.config().clone();
    drop(images);
    let lost = dir.path().join("images/layers").join(format!("sha256-{}", shared.diff_id.hex()));
    std::fs::remove_dir_all(lost).unwrap();
    let node = Node { images: Images::open(config).unwrap(), dir };
    assert!(node.images.list().is_empty() && node.images.find(&first).unwrap().is_none());
    for directory in ["images", "names"] {
        assert!(entries(&node.root().join(directory)).is_empty(), "{directory}");
    }
    assert_eq!(node.images.collect().layers, 1, "the layer that nothing needs any more");
    // Another image brings the layer, which must not bring the lost image back.
    node.images.pull(&second, None).await.unwrap();
    let node = node.reopen();
    let names = |node: &Node| node.images.list().iter().map(|image| image.repo_tags.clone()).collect::<Vec<_>>();
    assert_eq!(names(&node), [[second.clone()]]);
    node.images.pull(&first, None).await.unwrap();
    let node = node.reopen();
    assert!(names(&node).contains(&vec![first]) && names(&node).contains(&vec![second]));
    node.settle();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_record_cannot_be_read_for_now_keeps_its_names() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let name = registry.push("app", "1", &made).await;
    node.images.pull(&name, None).await.unwrap();
    let record = node.root().join("images").join(format!("sha256-{}", made.id.hex()));
    let aside = node.dir.path().join("aside");
    std::fs::rename(&record, &aside).unwrap();
    // A directory in its place exists, but reading it fails.
    std::fs::create_dir(&record).unwrap();
    let node = node.reopen();
    assert!(node.images.list().is_empty());
    std::fs::remove_dir(&record).unwrap();
    std::fs::rename(&aside, &record).unwrap();
    let node = node.reopen();
    assert_eq!(node.images.list()[0].repo_tags, [name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_program_keeps_the_store_closed_and_loses_nothing() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let name = registry.push("app", "1", &made).await;
    node.images.pull(&name, None).await.unwrap();
    let layer = format!("sha256-{}", made.layers[0].diff_id.hex());
    let record = node.root().join("layers").join(&layer).join("record");
    let (Node { dir, images }, ours) = (node, std::fs::read(&record).unwrap());
    let config = images.config().clone();
    drop(images);
    let newer = String::from_utf8(ours.clone()).unwrap().replacen("gorae layer 1 ", "gorae layer 99 ", 1);
    let other = gorae_kernel::checked::encode("layer", 1, b"{\"another\": \"shape\"}");
    for (others, version) in [(newer.into_bytes(), "version 99;"), (other, "version 1;")] {
        std::fs::write(&record, others).unwrap();
        let error = Images::open(config.clone()).unwrap_err().message();
        assert!(error.contains(&layer) && error.contains(version) && error.contains("run that one again"), "{error}");
    }
    std::fs::write(&record, ours).unwrap();
    let images = Images::open(config).unwrap();
    assert!(images.find(&name).unwrap().is_some(), "its name and its layer are still there");
    drop((images, dir));
}

#[tokio::test(flavor = "multi_thread")]
async fn collect_removes_what_a_crash_left_unreferenced() {
    let (registry, node) = (Registry::open().await, Node::new());
    let made = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    let name = registry.push("app", "1", &made).await;
    node.images.pull(&name, None).await.unwrap();
    // The state after a crash between the rename of the layer and that of the image.
    std::fs::remove_file(node.root().join("images").join(format!("sha256-{}", made.id.hex()))).unwrap();
    let node = node.reopen();
    assert!(node.images.list().is_empty());
    assert_eq!(node.layers().len(), 1);
    assert!(entries(&node.root().join("names")).is_empty(), "names without an image go at start");
    assert_eq!(node.images.collect().layers, 1);
    assert!(node.layers().is_empty());
    assert_eq!(node.images.usage().used_bytes, 0);
}

/// A small tmpfs, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "gorae-image-test"]).arg(dir.path()).status();
        assert!(mounted.unwrap().success());
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_pull_with_numbers_and_is_empty_again() {
    let registry = Registry::open().await;
    let fits = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("f", b"1")])]);
    // It compresses well, so it is admitted and then does not fit.
    let zeros = vec![0; 16 << 20];
    let grows =
        image(Flavour::Oci, vec![layer(Packing::Gzip, &[("small", b"1")]), layer(Packing::Gzip, &[("zeros", &zeros)])]);
    let large = image(Flavour::Oci, vec![layer(Packing::Plain, &[("noise", &noise(16 << 20, 1))])]);
    let small_name = registry.push("fits", "1", &fits).await;
    let grows_name = registry.push("grows", "1", &grows).await;
    let large_name = registry.push("large", "1", &large).await;

    let disk = SmallDisk::new("size=4m");
    let images = Images::open(Config::new(disk.0.path().join("images"))).unwrap();
    images.pull(&small_name, None).await.unwrap();
    for (name, words) in [(&grows_name, "bytes downloaded and"), (&large_name, "compressed layers have")] {
        let error = images.pull(name, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted, "{}", error.message());
        assert!(error.message().contains(words) && error.message().contains("bytes are free"), "{}", error.message());
        eventually("temp is empty", || entries(&disk.0.path().join("images/temp")).is_empty());
        assert_eq!(images.list().len(), 1);
    }
    // With a completely full disk, everything that frees space still works.
    let _ = std::fs::write(disk.0.path().join("filler"), vec![1; 8 << 20]);
    assert_eq!(images.pull(&grows_name, None).await.unwrap_err().kind(), Kind::ResourceExhausted);
    images.remove(&small_name).unwrap();
    assert!(images.list().is_empty());
    eventually("layers are gone", || entries(&disk.0.path().join("images/layers")).is_empty());
    drop(images);

    let few = SmallDisk::new("size=64m,nr_inodes=40");
    let images = Images::open(Config::new(few.0.path().join("images"))).unwrap();
    let files: Vec<(String, &[u8])> = (0..100).map(|n| (format!("f{n}"), &b""[..])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, data)| (name.as_str(), *data)).collect();
    let many = image(Flavour::Oci, vec![layer(Packing::Gzip, &files)]);
    let error = images.pull(&registry.push("many", "1", &many).await, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{}", error.message());
    eventually("temp is empty", || entries(&few.0.path().join("images/temp")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_leaves_the_reserve_free() {
    let registry = Registry::open().await;
    let zeros = vec![0; 40 << 20];
    let large = image(Flavour::Oci, vec![layer(Packing::Gzip, &[("zeros", &zeros)])]);
    let names: Vec<String> = (0..1500).map(|n| format!("f{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let many = image(Flavour::Oci, vec![layer(Packing::Gzip, &files)]);
    let (large, many) = (registry.push("large", "1", &large).await, registry.push("many", "1", &many).await);

    // 64 MiB and 2000 files: both images fit, but neither leaves half of it free.
    let disk = SmallDisk::new("size=64m,nr_inodes=2000");
    let open = |reserve| {
        let mut config = Config::new(disk.0.path().join("images"));
        config.limits.reserve = reserve;
        Images::open(config).unwrap()
    };
    let images = open(Reserve::Percent(50));
    for name in [&large, &many] {
        let error = images.pull(name, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted, "{}", error.message());
        let message = error.message();
        assert!(message.contains("are kept in reserve") && message.contains("images.reserve"), "{message}");
        eventually("temp is empty", || entries(&disk.0.path().join("images/temp")).is_empty());
    }
    // Less than the reserve is left, so the pull is refused before anything is written.
    std::fs::write(disk.0.path().join("filler"), vec![1; 40 << 20]).unwrap();
    let error = images.pull(&many, None).await.unwrap_err();
    assert!(error.message().contains("compressed layers have"), "{}", error.message());
    std::fs::remove_file(disk.0.path().join("filler")).unwrap();
    drop(images);
    let images = open(Reserve::Bytes(0));
    for name in [&large, &many] {
        images.pull(name, None).await.unwrap();
        images.remove(name).unwrap();
        eventually("layers are gone", || entries(&disk.0.path().join("images/temp")).is_empty());
    }
}
