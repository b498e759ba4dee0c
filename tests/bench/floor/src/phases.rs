// SPDX-License-Identifier: Apache-2.0
//! The stop watch, and what its laps come to.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// A running stop watch.
pub struct Clock {
    begun: Instant,
    lap: Instant,
    sample: Sample,
}

/// Microseconds of each phase of one iteration, in order.
#[derive(Default)]
pub struct Sample(Vec<(&'static str, f64)>);

/// Samples of many iterations.
#[derive(Default)]
pub struct Summary(BTreeMap<&'static str, Vec<f64>>);

impl Clock {
    pub fn start() -> Self {
        let now = Instant::now();
        Self { begun: now, lap: now, sample: Sample::default() }
    }

    /// Ends a phase; the next begins.
    pub fn lap(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.sample.0.push((phase, micros(self.lap, now)));
        self.lap = now;
    }

    pub fn finish(self) -> Sample {
        let mut sample = self.sample;
        let sum = |prefix: &str| sample.0.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, us)| us).sum();
        let (pod, exec, exit, down): (f64, f64, f64, f64) = (sum("pod:"), sum("ctr:"), sum("end:"), sum("down:"));
        let all = micros(self.begun, self.lap);
        let sums = [
            ("pod", pod),
            ("container_to_exec", exec),
            ("container_to_exit", exec + exit),
            ("pod_to_exec", pod + exec),
            ("pod_to_exit", pod + exec + exit),
            ("teardown", down),
            ("all", all),
        ];
        sample.0.extend(sums.map(|(name, us)| (name, tenths(us))));
        sample
    }
}

fn micros(from: Instant, to: Instant) -> f64 {
    tenths((to - from).as_secs_f64() * 1e6)
}

fn tenths(us: f64) -> f64 {
    (us * 10.0).round() / 10.0
}

impl Sample {
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, us)| ((*name).to_owned(), json!(us))).collect())
    }
}

impl Summary {
    pub fn add(&mut self, sample: &Sample) {
        for (name, us) in &sample.0 {
            self.0.entry(name).or_default().push(*us);
        }
    }

    /// `{phase: {"p50_us": …, "p95_us": …}}`
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        for (name, values) in &self.0 {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)];
            all.insert((*name).to_owned(), json!({"p50_us": at(0.5), "p95_us": at(0.95)}));
        }
        Value::Object(all)
    }
}
