// SPDX-License-Identifier: Apache-2.0
//! A pod's interfaces. In the built-in network: loopback, and one veth pair between the pod and the node, which routes the
//! pod's packets. In networks that people made: one veth pair each ([`Bridged`]).
//!
//! ```text
//! pod: eth0 10.64.0.5/32, default via 10.64.0.1 ── host end: no address (fe80::1), node: 10.64.0.5 to the host end
//! ```
//! This module owns the interfaces. The daemon owns the choice of addresses, the gateway's own interface and the packet
//! filter. Every function uses the socket that it is given, and works in that socket's namespace; [`connect`] and
//! [`configure`] also write settings of the namespace that the process is in.
//!
//! The hardware address of the pod's end is derived from its first IP address, and that of the host end is given, so both
//! ends know each other and never ask. The host end is no port of a bridge: a port gets a copy of every multicast packet
//! of all others, which made the 500th pod five times as slow to start as the first, and a bridge has 1,024 at most.

mod bridged;
mod default_routes;
mod host_end;
mod inside;
mod ipv6_settings;
mod link;
mod messages;
mod netlink;
mod plan;
mod veth;

pub use bridged::{Bridged, LOOKS};
pub use default_routes::{Gateways, of_pod as default_routes_of, put_back};
pub use host_end::connect;
pub use inside::{configure, forget_addresses};
pub use link::loopback_up;
pub use netlink::Route;
pub use plan::Network;
pub use veth::{Peer, create, delete, peer_of};
