// SPDX-License-Identifier: Apache-2.0
//! The attachments of this node's pods to CNI networks.
//!
//! An attachment is recorded before its ADD begins, with everything that its DEL needs: the configuration of that moment,
//! the arguments, the values of capabilities. From then on the DEL is owed until it succeeds: across failures, restarts of
//! the daemon, and reboots, and whatever became of the configuration since.
//!
//! ```text
//! add ──► record: adding ──► plugins ──► record: added, with the result
//!                │ failed, killed             │ remove
//!                └──────────► record: deleting ◄┘ ──► plugins ──► no record
//!                                  ▲  failed   │
//!                                  └─ debts ◄──┘  tried again, soon once one of the network has gone well
//! ```
//!
//! Nothing here knows what a pod is: it has an id, a name and a path of its network namespace.

#![forbid(unsafe_code)]

mod add;
mod attachments;
mod backoff;
mod collect;
mod collection;
mod debt;
mod due;
mod error;
mod lookup;
pub mod netns;
mod network;
mod other_runtimes;
mod readiness;
mod record;
mod remove;
mod runner;
mod settle;
mod store;

pub use add::Wish;
pub use attachments::Attachments;
pub use debt::Owed;
pub use error::{Error, Result};
pub use network::{CniNetwork, Places};
pub use record::{Phase, Record};
pub use remove::Removal;
pub use runner::Runner;
