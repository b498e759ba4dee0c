// SPDX-License-Identifier: Apache-2.0
//! Numbers in the CRI's form.

use gorae_proto::cri::UInt64Value;

/// Wraps a known value for the CRI.
pub(super) fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}
