// SPDX-License-Identifier: Apache-2.0
//! Limits of a container, already checked. `None` means that nothing is set.

/// The limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// The period of the CPU quota, in microseconds.
    pub cpu_period_us: Option<u64>,
    /// CPU time per period, in microseconds.
    pub cpu_quota_us: Option<Limit>,
    /// CPU shares, in the units of cgroup v1.
    pub cpu_shares: Option<u64>,
    /// CPUs, as a list like `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as a list.
    pub cpuset_mems: Option<String>,
    /// Memory, in bytes.
    pub memory: Option<Limit>,
    /// Memory and swap together, in bytes.
    pub memory_and_swap: Option<Limit>,
    /// Processes and threads.
    pub pids: Option<Limit>,
    /// Huge pages, by page size.
    pub hugepages: Vec<HugepageLimit>,
    /// cgroup v2 files and the values to write to them.
    pub unified: Vec<(String, String)>,
}

/// A limit on an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// This much; more than 0.
    At(u64),
}

/// A limit on huge pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugepageLimit {
    /// The page size, like `2MB`.
    pub page_size: String,
    /// Limit in bytes; 0 for none.
    pub bytes: u64,
}

impl Limit {
    /// Parses the encoding that the CRI, the OCI and the wire share: 0 sets nothing, -1 is unlimited. A lower number is
    /// unlimited, too; requests with one are refused earlier.
    pub fn parse(number: i64) -> Option<Self> {
        match u64::try_from(number) {
            Ok(0) => None,
            Ok(number) => Some(Self::At(number)),
            Err(_) => Some(Self::Unlimited),
        }
    }

    /// Returns the number in that encoding.
    pub fn number(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            // No machine has more than an i64 of anything.
            Self::At(number) => i64::try_from(number).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_what_their_numbers_say() {
        for (number, limit) in [(0, None), (-1, Some(Limit::Unlimited)), (7, Some(Limit::At(7)))] {
            assert_eq!(Limit::parse(number), limit);
            assert_eq!(limit.map_or(0, Limit::number), number);
        }
        assert_eq!(Limit::At(u64::MAX).number(), i64::MAX);
    }
}
