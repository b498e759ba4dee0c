// SPDX-License-Identifier: Apache-2.0
//! Ids of a container and of the host: how they translate, user namespaces that hold the maps, and mounts whose file
//! owners are translated.

mod maps;
mod mount;
mod namespace;

pub use maps::IdMaps;
pub use mount::set;
pub use namespace::UserNamespace;
