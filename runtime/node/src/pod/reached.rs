// SPDX-License-Identifier: Apache-2.0
//! What came of connecting a pod.

use std::net::IpAddr;

/// Where a pod is reached, and what it reaches.
#[derive(Debug, Default)]
pub struct Reached {
    /// The pod's addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Those that its host ports lead to, if these do not lead to the built-in network.
    pub published: Option<Vec<IpAddr>>,
    /// An address at which the pod reaches the node, where that is known.
    pub node: Option<IpAddr>,
    /// Whether the name server of networks that people made answers it.
    pub asks_names: bool,
}
