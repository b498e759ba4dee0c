// SPDX-License-Identifier: Apache-2.0
//! Limits.

use super::text::text;
use crate::resources::{HugepageLimit, Limit, Resources};
use gorae_proto::shim;

/// Writes limits.
pub fn resources(limits: Resources) -> shim::Resources {
    let count = |value: Option<u64>| value.map_or(0, |value| Limit::At(value).number());
    let limit = |value: Option<Limit>| value.map_or(0, Limit::number);
    let page = |pages: HugepageLimit| shim::HugepageLimit { page_size: pages.page_size, limit_bytes: pages.bytes };
    shim::Resources {
        cpu_period_us: count(limits.cpu_period_us),
        cpu_quota_us: limit(limits.cpu_quota_us),
        cpu_shares: count(limits.cpu_shares),
        memory_limit_bytes: limit(limits.memory),
        memory_swap_limit_bytes: limit(limits.memory_and_swap),
        cpuset_cpus: text(limits.cpuset_cpus),
        cpuset_mems: text(limits.cpuset_mems),
        hugepages: limits.hugepages.into_iter().map(page).collect(),
        unified: limits.unified.into_iter().map(|(file, value)| shim::UnifiedValue { file, value }).collect(),
        pids_limit: limit(limits.pids),
    }
}
