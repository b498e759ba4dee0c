// SPDX-License-Identifier: Apache-2.0
//! Many pods at the same time: what they cost in memory, how fast calls about them are, and whether no processor time is used when
//! there is nothing to do.

use super::arguments::Arguments;
use super::calls::{self, Outcome};
use super::pods::Pods;
use super::summary::Table;
use super::{hung, processes};
use anyhow::{Context, Result};
use gorae_tests::memory::pss_kb;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// What was found.
pub struct Density {
    pods: usize,
    made_in: Duration,
    helpers: usize,
    helpers_pss_kb: u64,
    daemon_before_kb: u64,
    daemon_kb: u64,
    calls: Vec<Outcome>,
    rest: Duration,
    cpu_at_rest: Duration,
    removed_in: Duration,
    daemon_after_kb: u64,
}

pub async fn measure(pods: &Pods<'_>, arguments: &Arguments) -> Result<Density> {
    let daemon = pods.target.daemon();
    let daemon_before_kb = processes::settled_pss(daemon)?;
    let before = processes::all();
    let begun = Instant::now();
    let mut made = Vec::new();
    for i in 0..arguments.pods {
        made.push(make(pods).await.with_context(|| format!("pod {} of {}", i + 1, arguments.pods))?);
    }
    let made_in = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let helpers = processes::helpers(&before);
    let (helpers_pss_kb, daemon_kb) = (processes::total_pss(&helpers), pss_kb(daemon)?);

    let rest = Duration::from_secs(arguments.rest);
    let everybody: Vec<u32> = helpers.iter().copied().chain([daemon]).collect();
    let spent = processes::cpu(&everybody);
    tokio::time::sleep(rest).await;
    let cpu_at_rest = processes::cpu(&everybody).saturating_sub(spent);

    let mut calls = match made.first() {
        Some((pod, container)) => calls::measure(pods, pod, container, arguments.calls).await,
        None => Vec::new(),
    };
    if pods.target.is_own() {
        calls.push(hung::measure(pods, arguments.calls).await?);
    }
    let begun = Instant::now();
    for (pod, _) in &made {
        pods.target.cri().clear_pod(pod).await.with_context(|| format!("remove pod {pod}"))?;
    }
    let removed_in = begun.elapsed();
    let daemon_after_kb = processes::settled_pss(daemon)?;
    let helpers = helpers.len();
    let pods = arguments.pods;
    Ok(Density {
        pods,
        made_in,
        helpers,
        helpers_pss_kb,
        daemon_before_kb,
        daemon_kb,
        calls,
        rest,
        cpu_at_rest,
        removed_in,
        daemon_after_kb,
    })
}

async fn make(pods: &Pods<'_>) -> Result<(String, String)> {
    let config = pods.config()?;
    let pod = pods.run(&config).await?;
    let container = pods.create(&pod, &config).await?;
    pods.start(&container).await?;
    Ok((pod, container))
}

impl Density {
    /// kB a pod: the helpers' share and what the daemon grew by.
    fn per_pod(&self) -> (f64, f64) {
        let growth = self.daemon_kb as f64 - self.daemon_before_kb as f64;
        (self.helpers_pss_kb as f64 / self.pods as f64, growth / self.pods as f64)
    }

    pub fn rows(&self, table: &mut Table) {
        let (helpers, growth) = self.per_pod();
        table.head(&format!("with {} pods and {} containers", self.pods, self.pods), "", "");
        table.row(&format!("{} shims, PSS a pod", self.helpers), &format!("{helpers:.1} kB"), "");
        table.row("daemon growth, PSS a pod", &format!("{growth:.1} kB"), "");
        table.row("overhead, PSS a pod", &format!("{:.1} kB", helpers + growth), "");
        table.row("daemon, PSS", &format!("{} kB", self.daemon_kb), "");
        table.row("daemon after their removal, PSS", &format!("{} kB", self.daemon_after_kb), "");
        let at_rest = format!("{:.1} ms", self.cpu_at_rest.as_secs_f64() * 1e3);
        table.row(&format!("CPU over {} s at rest, daemon and shims", self.rest.as_secs()), &at_rest, "");
        table.row("making them", &format!("{:.2} s", self.made_in.as_secs_f64()), "");
        table.row("removing them", &format!("{:.2} s", self.removed_in.as_secs_f64()), "");
        table.head("calls, milliseconds", "p50", "p95");
        for (name, outcome) in &self.calls {
            match outcome {
                Ok(times) => table.times(name, times),
                Err(code) => table.row(name, &format!("{code:?}"), ""),
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let (helpers, growth) = self.per_pod();
        let calls: Map<String, Value> = self
            .calls
            .iter()
            .map(|(name, outcome)| {
                (
                    (*name).to_owned(),
                    match outcome {
                        Ok(times) => times.to_json(),
                        Err(code) => json!(format!("{code:?}")),
                    },
                )
            })
            .collect();
        json!({
            "pods": self.pods, "shims": self.helpers, "shims_pss_kb_per_pod": helpers,
            "daemon_growth_pss_kb_per_pod": growth, "daemon_pss_kb": self.daemon_kb,
            "daemon_before_pss_kb": self.daemon_before_kb, "daemon_after_pss_kb": self.daemon_after_kb,
            "cpu_at_rest_ms": self.cpu_at_rest.as_secs_f64() * 1e3, "rest_s": self.rest.as_secs(),
            "make_s": self.made_in.as_secs_f64(), "remove_s": self.removed_in.as_secs_f64(), "calls_ms": calls,
        })
    }
}
