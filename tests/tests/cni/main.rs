// SPDX-License-Identifier: Apache-2.0
//! Pods in CNI networks: the reference plugins as others ship them, and the configurations that appear, change and are
//! wrong on a node.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod away;
mod bridge;
mod changes;
mod chaos;
mod collection;
mod contract;
mod debts;
mod frame;
mod leftovers;
mod macvlan;
mod mischief;
mod ptp;
mod reboots;
mod recorder;
mod refused;
mod status;
mod versions;
