// SPDX-License-Identifier: Apache-2.0
//! The built-in pod network, node side: one bridge, one subnet, one nftables table, and host ports.
//!
//! This crate owns every fact that pods share: which pod has which address and which host port (`pods`, in memory,
//! rebuilt at start from the pod records), the network's name and subnet ([`record`], durable), and the bridge and the
//! table (`making`, `table`). The inside of a pod's network namespace belongs to the shim, which gets a
//! [`PodNetworkPlan`].
//!
//! ```text
//! prepare ─► (caller writes the addresses into the pod record) ─► shim sets the pod up ─► publish
//!                                                         withdraw ─► namespace goes ─► release
//! ```
//!
//! Invariants:
//! - A pod without host ports needs no nft call; one with host ports adds one element for each port and family.
//! - Bridge and table are created for the first pod that needs them, and are gone after [`Network::remove_if_unused`].
//! - An address is free only after `release`, and only when no rule can point to it any more.
//! - We change nothing but our own table and our own bridge, except that forwarding is switched on.
//! - No lock that `status` takes is held across a system call that can block.
//!
//! Without nft, pods work and reach each other and the node, but their traffic is not masqueraded, and pods with host
//! ports are refused with [`NftError::Missing`]. [`Network::degraded`] reports this; `status` stays ready.
//!
//! ```text
//! network ── health, reconcile, pod_cidr ── take_over ── making, table ── state ── pods, record, rules, bridge
//! ```

#![forbid(unsafe_code)]

mod addresses;
mod binding;
mod bridge;
mod config;
mod conntrack;
mod decide;
mod error;
mod health;
mod making;
mod names;
mod netlink;
mod network;
mod nfnetlink;
mod nft;
mod node_lock;
mod pod_cidr;
mod pods;
mod ports;
mod reconcile;
pub mod record;
mod reservation;
mod rules;
mod state;
mod subnet;
mod sysctl;
mod table;
mod take_over;

pub use binding::{Binding, Protocol};
pub use config::NetworkConfig;
pub use error::{NetworkError, NetworkErrorKind};
pub use health::Reason;
pub use network::{Network, PodNetworkPlan};
pub use nft::NftError;
pub use pod_cidr::CidrOutcome;
pub use pods::LivePod;
