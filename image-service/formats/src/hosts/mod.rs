// SPDX-License-Identifier: Apache-2.0
//! The hosts to use for a registry: from `DIR/HOST/hosts.toml` in containerd's layout, or the registry itself.
//!
//! The files are read on each pull, so changes need no restart. An invalid value fails the pull with the file and line,
//! because a typo that silently sends pulls to the internet would be worse. Unknown keys are logged. Images keep the name
//! that the client requested; a mirror is only another source for the bytes.

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
