// SPDX-License-Identifier: Apache-2.0
//! The built-in network on a real kernel: each test is its own node, in its own network namespace, with pods that are
//! namespaces too and real connections between them. Needs root, ip(8), nft(8), iptables(8), unshare(1), and the packages that
//! tests/setup downloads.

mod distribution;
mod elsewhere;
mod families;
mod forwarding;
mod host_ports;
mod lifecycle;
mod load;
mod loopback;
mod repair;
mod routed;
mod services;
mod stage;
mod throughput;
mod traffic;
mod user_rules;
