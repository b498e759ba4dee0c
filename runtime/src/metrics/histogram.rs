// SPDX-License-Identifier: Apache-2.0
//! A histogram of durations.

use super::page::Page;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Inclusive upper bounds in microseconds, and the same in seconds as the page shows them. They range from a list that
/// is answered from memory to a pull that takes minutes.
const BOUNDS: [(u64, &str); 16] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (60_000_000, "60"),
    (300_000_000, "300"),
];

/// Counts of durations. Threads may add to it concurrently.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The durations within each bound and above the previous one; the last count is for those above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    /// The sum of all durations, in nanoseconds.
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|(bound, _)| bound * 1000 < nanoseconds);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The number of durations counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Writes the samples of the family `name`, which was begun before. Buckets are cumulative, as Prometheus requires.
    pub fn write(&self, page: &mut Page, name: &str, label: (&str, &str)) {
        let (bucket, mut so_far) = (format!("{name}_bucket"), 0);
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(&self.counts) {
            so_far += count.load(Ordering::Relaxed);
            page.sample(&bucket, &[label, ("le", bound)], so_far);
        }
        let sum = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed));
        page.sample(&format!("{name}_sum"), &[label], sum.as_secs_f64());
        page.sample(&format!("{name}_count"), &[label], so_far);
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Kind;
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_includes_it_and_in_all_later_ones() {
        let histogram = Histogram::default();
        for took in [0, 500, 501, 1_000_000, 300_000_001] {
            histogram.add(Duration::from_micros(took));
        }
        histogram.add(Duration::from_nanos(500_001));
        let mut page = Page::default();
        page.family("x_seconds", Kind::Histogram, "Durations.");
        histogram.write(&mut page, "x_seconds", ("of", "a"));
        let text = page.into_text();
        for line in [
            "x_seconds_bucket{of=\"a\",le=\"0.0005\"} 2",
            "x_seconds_bucket{of=\"a\",le=\"0.001\"} 4",
            "x_seconds_bucket{of=\"a\",le=\"0.5\"} 4",
            "x_seconds_bucket{of=\"a\",le=\"1\"} 5",
            "x_seconds_bucket{of=\"a\",le=\"300\"} 5",
            "x_seconds_bucket{of=\"a\",le=\"+Inf\"} 6",
            "x_seconds_count{of=\"a\"} 6",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
        }
        assert!(text.contains("x_seconds_sum{of=\"a\"} 301.00"), "{text}");
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn the_bounds_rise_and_their_text_has_the_same_value() {
        assert!(BOUNDS.is_sorted_by(|a, b| a.0 < b.0));
        for (microseconds, seconds) in BOUNDS {
            assert_eq!(Duration::from_micros(microseconds).as_secs_f64(), seconds.parse::<f64>().expect("a number"));
        }
    }
}
