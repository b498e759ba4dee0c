// SPDX-License-Identifier: Apache-2.0
//! The wall clock in the CRI's unit, nanoseconds.

pub use gorae_kernel::clock::now_ns;
use std::sync::atomic::{AtomicI64, Ordering};

/// The latest time that was returned, by this daemon or an earlier one.
static LAST: AtomicI64 = AtomicI64::new(0);

/// Like [`now_ns`], but always later than every time it returned before: kubelet orders the attempts of a pod by it.
pub fn unique_ns() -> i64 {
    let now = now_ns();
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    if now > last { now } else { LAST.fetch_add(1, Ordering::Relaxed) + 1 }
}

/// Records a time that an earlier daemon returned. [`unique_ns`] continues from there, even if the clock has been
/// stepped back since.
pub fn was_given_out(time: i64) {
    LAST.fetch_max(time, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    #[test]
    fn unique_times_increase() {
        let times: Vec<i64> = (0..1000).map(|_| super::unique_ns()).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn unique_times_go_on_after_those_of_an_earlier_daemon_though_the_clock_was_stepped_back() {
        let later = super::now_ns() + 1_000_000_000_000;
        super::was_given_out(later);
        super::was_given_out(1);
        assert!(super::unique_ns() > later);
    }
}
