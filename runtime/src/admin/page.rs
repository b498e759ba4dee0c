// SPDX-License-Identifier: Apache-2.0
//! The page of `/metrics`. Everything is read from memory or from this process's own files in /proc, except for the
//! number of damaged records, which is left out when the disk does not respond.

use super::machine;
use super::sources::Sources;
use crate::metrics::{Kind, Page};
use gorae_node::Node;
use gorae_node::Objects;

/// Writes the page.
pub async fn write(sources: &Sources) -> String {
    let mut page = Page::default();
    let name = "gorae_build_info";
    page.family(name, Kind::Gauge, "Version of goraed; the value is always 1.");
    page.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    sources.measures.write(&mut page);
    let connections = sources.clients.count();
    page.single("gorae_rpc_connections", Kind::Gauge, "Open connections to the CRI socket.", connections);
    objects(&mut page, &sources.node);
    let help = "Events that clients of GetContainerEvents missed because they read too slowly.";
    page.single("gorae_events_lost_total", Kind::Counter, help, sources.losses.total());
    if let Ok(damaged) = sources.damaged.run().await {
        let help = "Pods and containers whose damaged records are kept in ROOT/damaged for inspection.";
        page.single("gorae_records_damaged", Kind::Gauge, help, damaged);
    }
    machine::write(&mut page, sources.started);
    page.into_text()
}

/// Pods, containers, operations and images on the node.
fn objects(page: &mut Page, node: &Node) {
    let pods = node.objects.pods.all();
    let ready = pods.iter().filter(|pod| pod.is_ready()).count();
    page.family("gorae_pods", Kind::Gauge, "Pods, by state.");
    page.sample("gorae_pods", &[("state", "ready")], ready);
    page.sample("gorae_pods", &[("state", "not_ready")], pods.len() - ready);
    containers(page, &node.objects);
    let help = "Pods that are gone and that a CNI network has not let go; see `gorae info`.";
    page.single("gorae_network_removals_owed", Kind::Gauge, help, node.networks.cni.attachments().owed().len());
    let help = "RunPodSandbox and CreateContainer operations in flight, even if their client is gone.";
    page.single("gorae_operations_in_flight", Kind::Gauge, help, node.runs.count() + node.creates.count());
    page.single("gorae_images", Kind::Gauge, "Images on the node.", node.images.list().len());
    let usage = node.images.usage();
    page.single("gorae_image_store_bytes", Kind::Gauge, "Size of all image layers, in bytes.", usage.used_bytes);
    page.single("gorae_image_store_files", Kind::Gauge, "Number of files in all image layers.", usage.inodes_used);
}

fn containers(page: &mut Page, objects: &Objects) {
    let containers = objects.containers.all();
    let mut counts = [("created", 0_u64), ("starting", 0), ("running", 0), ("exited", 0)];
    let mut stuck = 0_u64;
    for container in &containers {
        let word = container.state().word();
        counts.iter_mut().filter(|(state, _)| *state == word).for_each(|(_, count)| *count += 1);
        stuck += u64::from(!container.has_ended() && container.is_stuck());
    }
    page.family("gorae_containers", Kind::Gauge, "Containers, by state.");
    for (state, count) in counts {
        page.sample("gorae_containers", &[("state", state)], count);
    }
    let help = "Containers whose shim reports a stop that does not finish, for example on a hung disk.";
    page.single("gorae_shims_stuck", Kind::Gauge, help, stuck);
}
