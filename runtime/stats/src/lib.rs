// SPDX-License-Identifier: Apache-2.0
//! Usage statistics of containers and pods, read from the kernel on request.
//!
//! The crate owns the reading and its formulas. It keeps nothing but the last CPU reading of each cgroup and the last
//! count of each writable layer. It never calls a shim and never samples by itself, so nothing runs at rest. A cgroup
//! that is gone gives `None`, never an error. A value that the kernel does not report is left unset, never 0.
//!
//! Everything here blocks, for about 0.1 ms per container: call it from a blocking thread, once for a whole list.
//!
//! ```text
//! working set   usage − inactive page cache          v2: memory.current, inactive_file   v1: total_inactive_file
//! available     limit − working set, unset without a limit
//! rss           anonymous memory                     v2: anon                            v1: total_rss
//! cpu           v2: usage_usec × 1000                v1: cpuacct.usage
//! pressure      unified hierarchy, also on a hybrid machine; µs × 1000
//! ```

#![forbid(unsafe_code)]

mod disk;
mod families;
mod filesystem;
mod group;
mod layer;
mod metrics;
mod network;
mod pressure;
mod processes;
mod rate;
mod reader;
mod sample;
mod subject;
#[cfg(test)]
mod tests;
mod value;
mod walk;

pub use families::descriptors;
pub use network::{Direction, Interface, of_pods as interfaces_of_pods, usage as network_usage};
pub use reader::Stats;
pub use subject::{ContainerSubject, PodSubject};
