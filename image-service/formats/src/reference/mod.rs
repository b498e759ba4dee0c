// SPDX-License-Identifier: Apache-2.0
//! The grammar of image names: `[host[:port]/]path[:tag][@digest]`, normalised the way users know it
//! (`busybox` is `docker.io/library/busybox:latest`). Pure: no lookups, no I/O.
//!
//! Everything here comes from clients, so lengths are bounded and letters are listed, never excluded.
//!
//! The grammar is our own although oci-spec brings one (`distribution::Reference`). That one is a regular expression,
//! which knows no IPv6 hosts, accepts any digits as a port and 64 hex digits as a name, keeps digests in upper case (so
//! that one image would have two names), and whose errors do not say which part of a name is wrong.

mod error;
mod grammar;
mod name;
mod userinfo;

pub use error::Invalid;
pub use name::Reference;
pub use userinfo::{without_userinfo, without_userinfo_of_host};
