// SPDX-License-Identifier: Apache-2.0
//! The grammar of image names: `[host[:port]/]path[:tag][@digest]`, normalised the way users know it
//! (`busybox` is `docker.io/library/busybox:latest`). Pure: no lookups, no I/O.
//!
//! All of this comes from clients, so lengths are bounded, and characters are allowed by list and not excluded by list.
//!
//! The grammar is our own although oci-spec has one (`distribution::Reference`). That one is a regular expression. It does
//! not know IPv6 hosts, accepts any digits as a port and 64 hex digits as a name, and keeps digests in upper case (so one
//! image would have two names). Its errors do not show which part of a name is wrong.

mod error;
mod grammar;
mod name;
mod userinfo;

pub use error::Invalid;
pub use name::Reference;
pub use userinfo::{without_userinfo, without_userinfo_of_host};
