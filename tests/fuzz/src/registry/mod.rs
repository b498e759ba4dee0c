// SPDX-License-Identifier: Apache-2.0
//! What a registry's answers say, without the registry.

pub mod error;
#[path = "../../../../image-service/src/registry/manifest.rs"]
pub mod manifest;
