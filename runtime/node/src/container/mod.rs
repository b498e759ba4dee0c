// SPDX-License-Identifier: Apache-2.0
//! Containers: one file per CRI verb, the pure builder of the shim's orders (`order`), and the [`Container`] that they
//! work on.
//!
//! ```text
//!   CreateContainer      StartContainer           the process ends
//!  ────────────────▶ Created ──▶ Starting ──▶ Running ──▶ Exited ──RemoveContainer──▶ gone
//!                       │            │ fails                ▲
//!                       │            └──────────────────────┘ 128, StartError
//!                       └─RemoveContainer──▶ gone
//! ```
//!
//! `ROOT/containers/ID/record` is the request; the daemon writes it. `STATE/containers/ID/state` is the actual state; the
//! container's shim writes it, and the daemon only reads it. `ROOT/containers/ID/end` is a copy of its end, which
//! survives a reboot (`end.rs`). A Created container has no process and no kernel object.

pub mod create;
pub(crate) mod end;
pub mod exec;
mod exit;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod force_stop;
mod image;
mod line;
mod object;
pub(crate) mod order;
mod precheck;
mod record;
pub mod remove;
pub mod reopen_log;
pub(crate) mod signal;
pub(crate) mod sources;
pub mod start;
mod start_guard;
mod state;
pub mod stop;
pub(crate) mod take_over;
pub mod update;
pub mod verbose;
pub mod view;

pub(crate) use exit::time;
pub use exit::{Exit, Identity, Reason};
pub(crate) use line::Line;
pub use object::Container;
pub(crate) use object::MOST_HELPERS;
pub use record::{Image, ImageMount, Process, Record};
pub(crate) use record::{RECORD_KIND, RECORD_VERSION, read_state};
pub(crate) use start_guard::Start;
pub use state::State;
pub(crate) use state::phase_of;
