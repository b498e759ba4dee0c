// SPDX-License-Identifier: Apache-2.0
//! What `manifest.rs` makes of the registry's error. The real one has the failures of connections, too.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} cannot be used: {why}")]
    Invalid { what: String, why: String },
    #[error("{what} has no image for {platform} (it has {available})")]
    NoPlatform { what: String, platform: String, available: String },
    #[error("{what} is not supported: {why}")]
    Unsupported { what: String, why: String },
}
