// SPDX-License-Identifier: Apache-2.0
//! The verbs of a network: each calls the list's plugins one after the other.
//!
//! ```text
//! ADD     in order, each with the result of the one before; ends at the first error, and a DEL is owed then
//! DEL     backwards, each with the result of the whole ADD; goes on after an error, and stays owed then
//! CHECK   in order, likewise; ends at the first error
//! STATUS  in order; the first error is the answer
//! GC      in order; goes on after an error
//! ```

mod add;
mod collect;
mod delete;
mod one;
mod status;

pub use add::{ADD_LIMIT, add};
pub use collect::{can_collect, collect};
pub use delete::delete;
pub use one::Caller;
pub use status::{check, status};
