// SPDX-License-Identifier: Apache-2.0
//! `gorae-shim`: one short-lived process that sets a pod up, and one process per container that owns its first
//! process, stdio, log, exit status and cgroup.
//!
//! The daemon starts it as `gorae-shim ROLE ID` with a unix stream socket as descriptor 0 (`proto/shim.proto` describes
//! the protocol). It is strictly single-threaded: that makes `clone3` without exec safe, lets it change user and mount
//! namespaces, and keeps the overhead of a container near 100 kB.
//!
//! `unsafe` lives in [`sys`] and nowhere else.

pub mod attach;
pub mod binary;
pub mod capabilities;
pub mod cgroup;
pub mod child;
pub mod clean;
pub mod clients;
pub mod connection;
pub mod descriptor;
pub mod detach;
pub mod device_policy;
pub mod devices;
pub mod drain;
pub mod epoll;
pub mod exec;
pub mod failure;
pub mod fault;
pub mod filter;
pub mod gate;
pub mod hooks;
pub mod idmap;
pub mod io;
pub mod keyring;
pub mod label;
pub mod log;
pub mod malformed;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod network;
pub mod newborn;
pub mod null;
pub mod oom_score;
pub mod order;
pub mod overlay;
pub mod plugin;
pub mod pod;
pub mod proc_sys;
pub mod program;
pub mod reap;
pub mod rootfs;
pub mod serve;
pub mod setup;
pub mod state;
pub mod stop;
#[allow(unsafe_code)]
pub mod sys;
pub mod terminal;
pub mod tree;
pub mod user;
pub mod volumes;

pub use gorae_proto::shim as wire;
