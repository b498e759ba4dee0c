// SPDX-License-Identifier: Apache-2.0
//! What the daemon and the shim both need to know of the kernel and of the disk, each in one place:
//! what time it is ([`clock`]), who a process is ([`process`]), how netlink messages are framed ([`netlink`]), how a mount table is read
//! ([`mountinfo`]), and how a record is laid out ([`checked`]) and kept in its file ([`record_file`]).
//!
//! Everything here is plain data and single system calls. Nothing knows a pod, a container or a message of Gorae's.

pub mod checked;
pub mod clock;
pub mod mountinfo;
pub mod netlink;
pub mod process;
pub mod record_file;
