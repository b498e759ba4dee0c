// SPDX-License-Identifier: Apache-2.0
//! The parts of metrics: a [`Histogram`] that costs a few nanoseconds per value, and the [`Page`] for Prometheus.
//!
//! These are a hundred lines of our own instead of a library. Every measured value has a place in a table that is laid
//! out at compile time. So counting is one addition, without a lock, a look-up or an allocation, and only the numbers
//! themselves are kept in memory. A library keeps a map from labels to values for each family, behind a lock.

mod histogram;
mod page;

pub use histogram::Histogram;
pub use page::{Kind, Page};
