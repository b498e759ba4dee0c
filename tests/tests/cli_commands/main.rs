// SPDX-License-Identifier: Apache-2.0
//! The command line against a daemon: each command for real, its output, its exit code, and what it leaves.

mod gorae;
mod images;
mod lifecycle;
mod logs;
mod running;
mod sessions;
