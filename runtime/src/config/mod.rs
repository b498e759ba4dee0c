// SPDX-License-Identifier: Apache-2.0
//! Configuration: the file as written ([`RawConfig`]), and the result of checking it ([`Config`]).
//!
//! ```text
//! raw.rs ─ checked.rs (paths, images, network, streaming, admin, runtimes, live: one file per section) ─ changes.rs
//! ```
//!
//! The file is optional. An unknown key, a relative path or a value out of range keeps the daemon from starting; the
//! error says where it is.

mod admin;
mod changes;
mod checked;
mod images;
mod lines;
mod live;
mod network;
mod paths;
mod raw;
mod runtimes;
mod streaming;

pub use admin::Admin;
pub use changes::Change;
pub use checked::Config;
pub use images::Images;
pub use paths::{DEFAULT_ROOT, DEFAULT_STATE};
pub use raw::{
    Overrides, RawAdmin, RawCdi, RawConfig, RawImages, RawMounts, RawNetwork, RawRuntime, RawStreaming, RuntimeKind,
};
pub use streaming::Streaming;

use std::path::Path;

/// Reads the file, if there is one, and checks everything.
///
/// # Errors
/// A sentence with the file, the line and what is allowed.
pub fn load(file: Option<&Path>, over: &Overrides) -> Result<Config, String> {
    let Some(path) = file else { return checked::check(RawConfig::default(), over) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("read {}: {e}", path.display()))?;
    let checked = parse(&text).and_then(|raw| checked::check(raw, over).map_err(|e| lines::with_line(&text, e)));
    checked.map_err(|e| format!("{}: {e}", path.display()))
}

/// Parses the text of a configuration file.
///
/// # Errors
/// The parser's message, with the line.
pub fn parse(text: &str) -> Result<RawConfig, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
