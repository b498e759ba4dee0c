// SPDX-License-Identifier: Apache-2.0
//! Exec, attach and port-forward with the real crictl, over both of its transports, and what it leaves behind.
//!
//! Frames that crictl cannot be made to send are tested in `runtime/src/streaming/tests`.

mod attach;
mod bulk;
mod client;
mod ends;
mod exec;
mod forward;
mod forwarded;
mod left;
mod terminal;
mod tls;
