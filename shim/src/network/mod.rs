// SPDX-License-Identifier: Apache-2.0
//! A pod's built-in network: loopback, and one veth pair whose host end is a port of a bridge.
//!
//! This module owns the interfaces. The daemon owns the choice of addresses, the bridge itself and the packet filter.
//! Every function uses the socket that it is given, so it works in that socket's namespace, whichever namespace the
//! process is in.
//!
//! The MAC address of the pod's end is derived from its first IP address, so the neighbours' caches stay valid when the
//! next pod reuses that address.

mod addresses;
mod link;
mod netlink;
mod veth;

pub use addresses::{Network, forget_addresses};
pub use link::loopback_up;
pub use netlink::Route;
pub use veth::{Peer, create, delete, peer_of};
