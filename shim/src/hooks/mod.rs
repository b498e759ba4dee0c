// SPDX-License-Identifier: Apache-2.0
//! Hooks of the OCI runtime specification.
//!
//! | point | when | run by, in which namespaces | status |
//! |---|---|---|---|
//! | prestart, createRuntime | mounted, before the pivot | shim, its own | creating |
//! | createContainer | right after | child, the container's; the host's files are still there | creating |
//! | startContainer | right before the program | child, as the program's user and with its rights | created |
//! | poststart | the program runs | shim, its own | running |
//! | poststop | the container has ended and is recorded | shim, its own | stopped |
//!
//! Hooks on the host are programs of the node's operator (they come from files in /etc). A startContainer hook is a
//! program of the image: it gets no privilege and no descriptor that the container's program does not get.

mod bundle;
mod list;
mod run;

pub use bundle::make_bundle;
pub use list::{Hooks, Point};
pub use run::run;
