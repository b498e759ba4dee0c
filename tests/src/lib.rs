// SPDX-License-Identifier: Apache-2.0
//! The harness of Gorae's tests: a node in fresh directories, a registry beside it, sentences that speak CRI, and
//! a look at everything that is left afterwards.
//!
//! ```no_run
//! use gorae_tests::{TINY, on_a_node};
//!
//! on_a_node(async |node| {
//!     let pod = node.pod("a").run().await;
//!     let web = pod.container("web").image(TINY).args(["sleep"]).start().await;
//!     assert_eq!(web.exec(["/tiny", "echo", "hi"]).await.stdout, "hi\n");
//!     pod.stop().await;
//! });
//! ```
//!
//! Everything runs inside the namespaces that `tests/run` makes; outside them the harness refuses to start.
//! With `GORAE_TEST_SOCKET=unix:///PATH` the CRI suites talk to another runtime; only what needs goraed itself
//! (restarts, leaks, its files) then fails, saying so.

#![forbid(unsafe_code)]

pub mod admin;
pub mod cluster;
pub mod cni;
pub mod container;
pub mod cri;
pub mod crictl;
pub mod daemon;
pub mod hung_disk;
pub mod images;
pub mod kubelet;
pub mod leaks;
pub mod log;
pub mod memory;
pub mod node;
pub mod place;
pub mod pod;
pub mod prometheus;
pub mod proofs;
pub mod reboot;
pub mod registry;
pub mod terminal;
pub mod testing;
pub mod web;

pub use cni::Cni;
pub use container::{Container, ContainerBuilder, Output};
pub use cri::Cri;
pub use crictl::Crictl;
pub use images::{BUSYBOX, TINY};
pub use node::Node;
pub use pod::Pod;
pub use terminal::Terminal;
pub use testing::{on_a_node, on_a_node_for, rounds};
