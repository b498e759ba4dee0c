// SPDX-License-Identifier: Apache-2.0
//! The outer layer of goraed: configuration, the CRI services on their socket, and the daemon from start to shutdown.
//!
//! ```text
//! kubelet ─gRPC─ rpc/ ─ cri/ ─┬── gorae_node: pod|container/<verb>.rs ─ gorae_shims ═ gorae-shim ─ kernel
//!                             ├─ gorae_streaming ─ sessions.rs (its backend)
//!                             └─ gorae_image_service
//! ```

#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
pub mod cri;
pub mod health;
pub mod log;
pub mod metrics;
pub mod people;
pub mod reload;
pub mod rpc;
pub mod server;
pub mod sessions;
pub mod status;
