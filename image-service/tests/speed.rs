// SPDX-License-Identifier: Apache-2.0
//! The speed of a pull: `cargo test --release -p gorae-image-service --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod fixture;

use fixture::debian::Registry;
use fixture::image::{Flavour, Packing, image, pack};
use fixture::{Node, eventually};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LAYERS: usize = 8;
const LAYER_BYTES: u64 = 25 << 20;

/// Eight tars of files from this machine, about 25 MiB each.
fn tars() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for root in ["/usr/bin", "/usr/lib", "/usr/share"] {
        collect(Path::new(root), &mut files);
    }
    let mut files = files.into_iter();
    let mut next = || {
        let (mut builder, mut bytes) = (tar::Builder::new(Vec::new()), 0);
        while bytes < LAYER_BYTES {
            let Some((path, length)) = files.next() else { break };
            let name = path.strip_prefix("/").unwrap();
            if builder.append_path_with_name(&path, name).is_ok() {
                bytes += length;
            }
        }
        builder.into_inner().unwrap()
    };
    (0..LAYERS).map(|_| next()).collect()
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let length = entry.metadata().map_or(0, |m| m.len());
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() && length < LAYER_BYTES / 2 {
            files.push((entry.path(), length));
        }
    }
}

/// User and system CPU time of this process.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let time = |t: nix::sys::time::TimeVal| Duration::from_micros((t.tv_sec() * 1_000_000 + t.tv_usec()) as u64);
    time(usage.user_time()) + time(usage.system_time())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a check"]
async fn an_image_with_eight_layers_of_real_files_is_pulled() {
    let registry = Registry::open().await;
    let tars = tars();
    let total: usize = tars.iter().map(Vec::len).sum();
    for (what, packing) in [("gzip", Packing::Gzip), ("zstd", Packing::Zstd), ("plain", Packing::Plain)] {
        let made = image(Flavour::Oci, tars.iter().map(|tar| pack(packing, tar)).collect());
        let compressed: usize = made.layers.iter().map(|l| l.blob.bytes.len()).sum();
        let name = registry.push("big", what, &made).await;
        drop(made);
        for round in 0..3 {
            let node = Node::with(|_| {});
            let (begun, used) = (Instant::now(), cpu());
            node.images.pull(&name, None).await.unwrap();
            let (wall, used) = (begun.elapsed(), cpu() - used);
            let mb = total as f64 / 1e6;
            println!(
                "{what} round {round}: {:.0} MB unpacked ({:.0} MB compressed) in {:.2} s = {:.0} MB/s, CPU {:.2} s, {} inodes",
                mb,
                compressed as f64 / 1e6,
                wall.as_secs_f64(),
                mb / wall.as_secs_f64(),
                used.as_secs_f64(),
                node.images.usage().inodes_used
            );
            node.images.remove(&name).unwrap();
            eventually("removed", || node.layers().is_empty());
            node.settle();
        }
    }
}
