// SPDX-License-Identifier: Apache-2.0
//! Which hosts stand for a registry: `DIR/HOST/hosts.toml` in containerd's layout, or the registry itself.
//!
//! The files are read at each pull, so a change needs no restart. An invalid value fails the pull and names file and line,
//! because a typo that silently sends pulls to the internet would be worse; unknown keys are logged. Images keep the name
//! that was asked for; a mirror is only a place to get the bytes from.

mod error;
mod file;
mod host;
mod keys;
mod lookup;
mod table;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use host::{Host, Proxy, Settings, Tls, is_loopback};
pub use lookup::hosts;
