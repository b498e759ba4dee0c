// SPDX-License-Identifier: Apache-2.0
//! What metrics are made of: a [`Histogram`] that costs a few nanoseconds a value, and the [`Page`] that Prometheus reads.
//!
//! These are a hundred lines of our own, and not a library: what is measured has its place in a table that is made at
//! compile time, so that counting is one addition without a lock, a look-up or an allocation, and nothing is held in
//! memory but the numbers themselves. A library keeps a map from labels to values for each family, behind a lock.

mod histogram;
mod page;

pub use histogram::Histogram;
pub use page::{Kind, Page};
