// SPDX-License-Identifier: Apache-2.0
//! The image maker: what the tests, critest and the demo pull is made here, from Debian packages and from small
//! C programs, the same bytes for the same inputs.
//!
//! [`layer`] writes tars, [`push`] makes manifests and pushes, [`own`] and [`conformance`] say which images there are.

pub mod conformance;
pub mod debian;
pub mod layer;
pub mod own;
pub mod programs;
pub mod push;

/// One static program, no shell: `/tiny VERB`, see `tests/src/images/programs/tiny.c`.
pub const TINY: &str = "images.gorae.test/gorae/tiny:1";
/// A shell and the usual small programs.
pub const BUSYBOX: &str = "registry.k8s.io/e2e-test-images/busybox:1.29-2";
