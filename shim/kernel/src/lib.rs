// SPDX-License-Identifier: Apache-2.0
//! What the daemon and the shim both need to know about the kernel and the disk, each fact in one place.
//!
//! - [`clock`]: the time, in the unit of the CRI.
//! - [`process`]: a process that cannot be mistaken for a later one.
//! - [`netlink`], [`netlink_socket`]: how netlink messages are framed, and the socket that carries them.
//! - [`mountinfo`]: how a mount table is read.
//! - [`attributes`]: which extended attributes a file from an image may carry.
//! - [`checked`], [`record_file`]: how a record is laid out, and how it is kept in its file.
//!
//! Everything here is plain data and single system calls. Nothing knows about pods, containers or Gorae's messages.

#![forbid(unsafe_code)]

pub mod attributes;
pub mod checked;
pub mod clock;
pub mod mountinfo;
pub mod netlink;
pub mod netlink_socket;
pub mod process;
pub mod record_file;
