// SPDX-License-Identifier: Apache-2.0
//! The command line against a daemon: each command for real, its output, its exit code, and what it leaves.

mod gorae;
mod images;
mod lifecycle;
mod logs;
mod names;
mod network_changes;
mod network_modes;
mod networks;
mod running;
mod sessions;
