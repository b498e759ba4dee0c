// SPDX-License-Identifier: Apache-2.0
//! A network configuration: a name, a version, and the plugins that make the network, in order.
//!
//! Plugins are kept as the JSON objects that they are: each has keys that only its program knows.

mod definition;
mod invalid;
mod parse;
mod plugin;

pub use definition::List;
pub use invalid::Invalid;
pub(crate) use parse::json;
pub use parse::{MAX_BYTES, MAX_PLUGINS, parse, parse_list};
pub use plugin::Plugin;
