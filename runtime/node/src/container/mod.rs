// SPDX-License-Identifier: Apache-2.0
//! Containers: one file per CRI verb, the pure builder of the shim's orders ([`order`]), and the [`Container`] that they
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
//! survives a reboot ([`end`]). A Created container has no process and no kernel object.

pub mod create;
pub mod end;
pub mod exec;
mod exit;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod force_stop;
mod image;
mod line;
mod object;
pub mod order;
mod precheck;
mod record;
pub mod remove;
pub mod reopen_log;
pub mod signal;
pub mod sources;
pub mod start;
mod start_guard;
mod state;
pub mod stop;
pub mod take_over;
pub mod update;
pub mod verbose;
pub mod view;

pub use exit::{Exit, Identity, Reason, time};
pub use line::{Connected, Line};
pub use object::{Container, MOST_HELPERS};
pub use record::{Image, ImageMount, Process, RECORD_KIND, RECORD_VERSION, Record, read_state};
pub(crate) use start_guard::Start;
pub use state::{State, phase_of};
