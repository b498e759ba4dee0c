// SPDX-License-Identifier: Apache-2.0
//! Limits of a container. Each is checked before it is here; `None` means that nothing is set.

/// The limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// The period of the processor quota in microseconds.
    pub cpu_period_us: Option<u64>,
    /// The processor time in each period, in microseconds.
    pub cpu_quota_us: Option<Limit>,
    /// The share of processor time among others, in the terms of cgroup v1.
    pub cpu_shares: Option<u64>,
    /// Processors, as a list like `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as a list.
    pub cpuset_mems: Option<String>,
    /// Memory in bytes.
    pub memory: Option<Limit>,
    /// Memory and swap together in bytes.
    pub memory_and_swap: Option<Limit>,
    /// Processes and threads.
    pub pids: Option<Limit>,
    /// Huge pages, by their size.
    pub hugepages: Vec<HugepageLimit>,
    /// Files of cgroup v2 and what is written to them.
    pub unified: Vec<(String, String)>,
}

/// How much there may be of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// As much as there is.
    Unlimited,
    /// So much; more than 0.
    At(u64),
}

/// A limit of huge pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugepageLimit {
    /// Their size, like `2MB`.
    pub page_size: String,
    /// How many bytes of them; 0 for none.
    pub bytes: u64,
}

impl Limit {
    /// Reads the form that the CRI, the OCI and the wire share: 0 sets nothing, -1 is unlimited. What is below is
    /// unlimited, too; who asked for it was refused before.
    pub fn parse(number: i64) -> Option<Self> {
        match u64::try_from(number) {
            Ok(0) => None,
            Ok(number) => Some(Self::At(number)),
            Err(_) => Some(Self::Unlimited),
        }
    }

    /// Writes that form.
    pub fn number(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            // Of more than an i64 there is never anything.
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
