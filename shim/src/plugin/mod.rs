// SPDX-License-Identifier: Apache-2.0
//! Runs network plugins: programs of the node's operator, which may hang, flood, or leave children behind.
//!
//! This process is there so that all of that can be lost: it is the parent of whatever the plugin leaves behind, and it
//! keeps the lock of the attachment, even when the daemon that wanted the run is gone. When this process is killed itself,
//! the plugin dies with it, and the programs that the plugin called keep a lock of their own until they end.

mod end;
mod locks;
mod request;
mod run;
mod series;

pub use request::Plugin;
pub use series::Series;
