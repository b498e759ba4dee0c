// SPDX-License-Identifier: Apache-2.0
//! Device nodes in an image: names without a power.

use crate::{container_of, program};
use gorae_tests::images::layer::{Packing, Writer};
use gorae_tests::testing;
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use tar::EntryType;

#[test]
fn device_nodes_of_an_image_open_nothing() {
    testing::on_a_node_with_an_empty_registry(async |node| {
        let pod = node.pod("devices").run().await;
        let disk = std::fs::metadata("/").unwrap().dev();
        let (major, minor) = (nix::sys::stat::major(disk) as u32, nix::sys::stat::minor(disk) as u32);
        let mut layer = Writer::default();
        layer
            .node(EntryType::Char, "kmsg", "", (1, 11))
            .node(EntryType::Char, "mem", "", (1, 1))
            .node(EntryType::Block, "disk", "", (major, minor))
            .node(EntryType::Block, "loop", "", (7, 0))
            .node(EntryType::Char, "null", "", (1, 3));
        let layers = vec![program(), layer.finish(Packing::Gzip)];
        let container = container_of(node, &pod, "nodes", layers, json!({})).await.start().await;
        for name in ["/kmsg", "/mem", "/disk", "/loop"] {
            let read = container.exec(["/tiny", "cat", name]).await;
            assert_eq!(read.code, 1, "{name}");
            assert!(read.stderr.contains("not permitted"), "{name}: {}", read.stderr);
        }
        // It is the device that is refused, not the node.
        assert_eq!(container.exec(["/tiny", "cat", "/null"]).await.code, 0);
    });
}
