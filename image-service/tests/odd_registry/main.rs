// SPDX-License-Identifier: Apache-2.0
//! Pulls from registries that cut, stall, lie, redirect and require tokens.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../fixture/mod.rs"]
mod fixture;
mod lies;
mod parts;
mod secrets;
mod sharing;
mod slow;
