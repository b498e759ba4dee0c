// SPDX-License-Identifier: Apache-2.0
//! The built-in pod network, node side: one bridge, one subnet, one nftables table; and the host ports of all pods, those
//! of CNI networks included.
//!
//! This crate owns every fact that pods share: which pod has which address and which host port (`pods`, in memory,
//! rebuilt at start from the pod records), the network's name and subnet ([`record`], durable), and the bridge and the
//! table (`making`, `table`). The inside of a pod's network namespace belongs to the shim, which gets a
//! [`PodNetworkPlan`].
//!
//! ```text
//! prepare ─► (caller writes the addresses into the pod record) ─► shim sets the pod up ─► publish
//! reserve_ports ─► shim, plugins (a CNI network's pod) ───────────────────────────► publish_at
//!                                                         withdraw ─► namespace goes ─► release
//! ```
//!
//! Invariants:
//! - A pod without host ports needs no nft call; for one with host ports, each port and family is one element of a map and
//!   one of a set.
//! - Bridge and table are created for the first pod that needs them, and are gone after [`Network::remove_if_unused`].
//!   Host ports of a CNI network's pods need no bridge, no subnet, and no sysctl but `route_localnet` of the pod's interface.
//! - The table is changed by content, so the administrator's chain in it, `user_forward`, is kept.
//! - An address is free only after `release`, and only when no rule can point to it any more.
//! - We change nothing but our own table and our own bridge, except that the bridge switches forwarding on.
//! - No lock that `status` takes is held across a system call that can block.
//!
//! Without nft, pods work and reach each other and the node, but their traffic is not masqueraded, and pods with host
//! ports are refused with [`NftError::Missing`]. [`Network::degraded`] reports this; `status` stays ready.
//!
//! ```text
//! network ── health, reconcile, pod_cidr ── take_over, restore ── making, table ── services, loopback ── way
//!                                                   └── state ── pods, record, switched, rules, bridge
//! ```

#![forbid(unsafe_code)]

mod addresses;
mod binding;
mod bridge;
mod command;
mod config;
mod conntrack;
mod decide;
mod elements;
mod error;
mod forwarding;
mod health;
mod held;
mod holder;
mod host_ends;
mod host_ports;
mod loopback;
mod lost;
mod making;
pub mod names;
pub mod netlink;
mod network;
mod nfnetlink;
pub mod nft;
mod node_lock;
mod others;
mod pod_cidr;
mod pods;
mod ports;
mod reconcile;
pub mod record;
mod reservation;
mod restore;
mod rules;
mod services;
mod state;
mod subnet;
mod subnets;
mod switched;
pub mod sysctl;
mod table;
mod take_over;
mod way;

pub use binding::{Binding, Place, Protocol};
pub use bridge::pod_mtu;
pub use config::{Masquerade, NetworkConfig};
pub use error::{NetworkError, NetworkErrorKind};
pub use forwarding::{let_through, withdraw};
pub use health::Reason;
pub use network::{Bridge, Network, PodNetworkPlan};
pub use nft::NftError;
pub use others::Others;
pub use pod_cidr::CidrOutcome;
pub use pods::{LivePod, Mapper};
pub use subnets::Families;
