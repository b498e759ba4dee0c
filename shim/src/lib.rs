// SPDX-License-Identifier: Apache-2.0
//! `gorae-shim`: one short-lived process that sets a pod up, and one process per container that owns its first
//! process, stdio, log, exit status and cgroup.
//!
//! The process is started by the daemon as `gorae-shim ROLE ID` with a unix stream socket as descriptor 3 (the
//! protocol is described in `proto/shim.proto`). It is strictly single-threaded: that makes `clone3` without exec
//! safe, lets it change user and mount namespaces, and keeps a container's overhead near 100 kB.
//!
//! `unsafe` lives in [`sys`] and nowhere else.

pub mod attach;
pub mod cgroup;
pub mod connection;
pub mod failure;
pub mod io;
pub mod log;
#[allow(unsafe_code)]
pub mod sys;

pub use gorae_proto::shim as wire;
