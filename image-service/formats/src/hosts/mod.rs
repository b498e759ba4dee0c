// SPDX-License-Identifier: Apache-2.0
//! Which hosts stand for a registry: `DIR/HOST/hosts.toml` in containerd's layout, or the registry itself.
//!
//! The files are read at each pull, so a change needs no restart. A value that makes no sense stops the pull and names file
//! and line, because a typo that silently sends pulls to the internet is worse; a key that is not known is told in the
//! log. The name that was asked for is the one that images keep; a mirror is only a place to get the bytes.

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
