// SPDX-License-Identifier: Apache-2.0
//! Images of a Gorae node: their names, registries, unpacking, and the store that layers and images live in.
pub mod config;
pub mod digest;
mod gc;
mod image;
pub mod reference;
mod store;
pub mod unpack;
