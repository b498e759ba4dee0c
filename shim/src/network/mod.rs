// SPDX-License-Identifier: Apache-2.0
//! A pod's built-in network: loopback, and one veth pair whose host end hangs in a bridge.
//!
//! Owns the interfaces; which addresses there are, the bridge itself and the packet filter are the daemon's. Every
//! function talks through the socket it is given, so it works in that socket's namespace whatever namespace the
//! process is in.
//!
//! The pod's end has a MAC address made from its first IP address: when an address is used again by the next pod,
//! what neighbours have cached about it stays true.

mod addresses;
mod link;
mod netlink;
mod veth;

pub use addresses::{Network, forget_addresses};
pub use link::loopback_up;
pub use netlink::Route;
pub use veth::{Peer, create, delete, peer_of};
