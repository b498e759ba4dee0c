// SPDX-License-Identifier: Apache-2.0
//! Parsers for what people type. Every function here is pure: no file, no socket, no clock.
//!
//! An error quotes the whole text and states the expected form. Only variables are never quoted: they may be secret.

pub mod address;
pub mod capability;
pub mod dns;
pub mod entries;
pub mod filter;
pub mod name;
pub mod network;
pub mod port;
pub mod quantity;
pub mod since;
pub mod span;
pub mod subnet;
pub mod timestamp;
pub mod user;
pub mod volume;
