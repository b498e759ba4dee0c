// SPDX-License-Identifier: Apache-2.0
//! A real kubelet on a node under test: without an API server, fed with pod manifests in a directory.
//!
//! ```no_run
//! use gorae_tests::kubelet::{DEFAULT, on_a_kubelet, ready};
//! use serde_json::json;
//!
//! on_a_kubelet(DEFAULT, async |_, kubelet| {
//!     let pod = kubelet.run("a", json!({"containers": [{"name": "c", "image": gorae_tests::TINY}]}));
//!     pod.until("it is ready", ready).await;
//!     pod.remove().await;
//! });
//! ```
//!
//! Whatever kubelet complains of that is not its own affair fails the test: see [`complaints`].

pub mod api;
pub mod complaints;
mod config;
mod places;
pub mod pod;
mod process;
pub mod stream;

pub(crate) use config::kubelet as configuration;
pub use config::{ALPHA, DEFAULT, Gates, NODE_NAME, Ports};
pub use pod::{StaticPod, container, ready};
pub use process::Kubelet;

use crate::node::Node;
use crate::testing::on_a_node_for;
use std::time::Duration;

/// Longest run of a test with a kubelet.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs a test's body on a fresh node with a kubelet on it; what kubelet complains of, and what it or the node
/// leaves behind, fails the test.
pub fn on_a_kubelet(gates: Gates, body: impl AsyncFnOnce(&Node, &Kubelet)) {
    on_a_node_for(LIMIT, async |node| {
        let kubelet = Kubelet::start(node, gates).await;
        body(node, &kubelet).await;
        kubelet.end().await;
    });
}
