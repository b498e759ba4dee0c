// SPDX-License-Identifier: Apache-2.0
//! Two nodes and a control plane: the real etcd, kube-apiserver, kube-controller-manager and kube-scheduler in the test's own
//! namespaces, and goraed with kubelet, kube-proxy and CoreDNS on two machines that are namespaces of their own.
//!
//! ```text
//!                10.200.0.1 control plane, registries, the test
//!                     |
//!            ---------+--------- bridge `cluster0`
//!            |                 |
//!   node-a 10.200.0.11   node-b 10.200.0.12        pods 10.64.N.0/24, services 10.96.0.0/16
//! ```
//!
//! [`host`] makes a machine, [`node`] puts goraed and kubelet on it, [`network`] joins the pods of the nodes.

pub mod api;
mod control;
pub mod host;
mod images;
mod keys;
mod link;
pub mod network;
pub mod node;
mod objects;
mod run;

pub use api::{Api, PATIENCE};
pub use network::Network;
pub use node::ClusterNode;
pub use objects::{Proxy, apart};

use crate::leaks::Snapshot;
use crate::place;
use crate::registry::Registry;
use anyhow::{Context, Result};
use control::Control;
use futures_util::FutureExt;
use host::Host;
use keys::Keys;
use link::{CONTROL, Link};
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// The nodes: names and addresses.
const NODES: [(&str, Ipv4Addr); 2] =
    [("node-a", Ipv4Addr::new(10, 200, 0, 11)), ("node-b", Ipv4Addr::new(10, 200, 0, 12))];
/// Longest run of one test.
const LIMIT: Duration = Duration::from_secs(600);
/// How long the kernel may take to finish what was asked of it.
const SETTLING: Duration = Duration::from_secs(15);

/// A running cluster. What it is made of goes in this order.
#[derive(Debug)]
pub struct Cluster {
    network: network::Joined,
    nodes: Vec<ClusterNode>,
    control: Control,
    api: Api,
    _registries: [Registry; 2],
    _link: Link,
    home: tempfile::TempDir,
}

/// Runs a test's body on a fresh cluster, and checks that nothing is left of it in these namespaces.
///
/// Panics when the cluster does not come up, when the body takes too long, and outside `tests/run`.
pub fn on_a_cluster(network: Network, proxy: Proxy, body: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    place::assert_own_namespaces();
    let before = Snapshot::take(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let whole = async {
            let cluster = Cluster::start(network, proxy).await.context("the cluster does not start")?;
            body(&cluster).await?;
            cluster.end().await
        };
        let done = AssertUnwindSafe(tokio::time::timeout(LIMIT, whole)).catch_unwind().await;
        match done {
            Err(panic) => resume_unwind(panic),
            Ok(Err(_)) => panic!("the test runs for more than {LIMIT:?}"),
            Ok(Ok(Err(error))) => panic!("{error:#}"),
            Ok(Ok(Ok(()))) => {}
        }
    });
    nothing_stays(&before);
}

impl Cluster {
    async fn start(network: Network, proxy: Proxy) -> Result<Cluster> {
        let begun = Instant::now();
        let home = tempfile::Builder::new().prefix("gorae-cluster-").tempdir()?;
        let link = Link::make()?;
        let registries = [Registry::with_test_images_at(CONTROL)?, Registry::empty_at(CONTROL)?];
        for image in images::all()? {
            registries[1].client().push(&image)?;
        }
        let keys = Keys::make(&home.path().join("keys"))?;
        let api = Api::new(&keys)?;
        told("images and keys", begun);
        let control = Control::start(&home.path().join("control"), &keys, &api).await?;
        told("control plane", begun);
        let mut nodes = Vec::new();
        for (name, address) in NODES {
            let place = home.path().join(name);
            std::fs::create_dir_all(&place)?;
            let host = Host::new(name, address, &place)?;
            let addresses = [registries[0].address(), registries[1].address()];
            nodes.push(ClusterNode::start(host, &place, &keys, addresses, network.of_daemon()).await?);
        }
        told("goraed and kubelet", begun);
        let joined = network.join(&nodes, &api, &keys).await?;
        let cluster = Cluster { network: joined, nodes, control, api, _registries: registries, _link: link, home };
        cluster.until_nodes_ready().await?;
        told("nodes ready", begun);
        objects::own_pods(&cluster.api, proxy).await?;
        told("kube-proxy and CoreDNS ready", begun);
        Ok(cluster)
    }

    /// Waits until all nodes are ready.
    ///
    /// # Errors
    /// When one is not in time.
    pub async fn until_nodes_ready(&self) -> Result<()> {
        let ready = |list: &serde_json::Value| {
            let nodes = api::items(list);
            nodes.len() == NODES.len() && nodes.iter().all(|node| api::is(node, "Ready"))
        };
        self.api.until("/api/v1/nodes", "all nodes are ready", PATIENCE, ready).await.map(drop)
    }

    /// The API server's client.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    /// A directory of the test.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    async fn end(mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.end().await?;
        }
        self.network.end()?;
        self.control.end()
    }
}

/// Prints how long it took to get here.
fn told(what: &str, begun: Instant) {
    println!("{:6.1} s  {what}", begun.elapsed().as_secs_f64());
}

fn nothing_stays(before: &Snapshot) {
    let begun = Instant::now();
    loop {
        let found = before.difference(&Snapshot::take(&[]));
        if found.is_empty() {
            return;
        }
        assert!(begun.elapsed() < SETTLING, "after the cluster's end:\n{}", found.join("\n"));
        std::thread::sleep(Duration::from_millis(100));
    }
}
