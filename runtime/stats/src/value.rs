// SPDX-License-Identifier: Apache-2.0
//! Numbers as the CRI has them.

use gorae_proto::cri::UInt64Value;

/// A known value in the CRI's wrapper.
pub(super) fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}
