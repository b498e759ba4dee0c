// SPDX-License-Identifier: Apache-2.0
//! Percentiles, and a table for people.

use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Durations of one step.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.add_ms(time.as_secs_f64() * 1e3);
    }

    pub fn add_ms(&mut self, ms: f64) {
        self.0.push(ms);
    }

    /// The value that a share of all values is below, in milliseconds; 0 without any.
    pub fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (sorted.len() as f64 * share) as usize;
        sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    pub fn to_json(&self) -> Value {
        json!({"p50": round(self.at(0.5)), "p95": round(self.at(0.95)), "n": self.0.len()})
    }
}

fn round(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// Three columns, printed as they come.
#[derive(Debug, Default)]
pub struct Table(String);

impl Table {
    pub fn head(&mut self, title: &str, first: &str, second: &str) {
        self.0.push('\n');
        self.row(title, first, second);
    }

    pub fn row(&mut self, name: &str, first: &str, second: &str) {
        let line = format!("{name:<44} {first:>14} {second:>14}");
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    pub fn times(&mut self, name: &str, times: &Times) {
        self.row(name, &format!("{:.2}", times.at(0.5)), &format!("{:.2}", times.at(0.95)));
    }

    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let mut times = Times::default();
        assert_eq!(times.at(0.5), 0.0);
        (1..=100).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        assert_eq!((times.at(0.5), times.at(0.95)), (51.0, 96.0));
    }
}
