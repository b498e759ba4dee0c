// SPDX-License-Identifier: Apache-2.0
//! Pods one after the other, each step timed, in turn with the floor.

use super::arguments::Arguments;
use super::floor::Floor;
use super::pods::Pods;
use super::summary::{Table, Times};
use anyhow::{Context, Result};
use gorae_proto::cri::{RemoveContainerRequest, RemovePodSandboxRequest, StopContainerRequest, StopPodSandboxRequest};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Iterations that are not counted.
const WARM_UP: usize = 3;
const STEPS: [&str; 8] = [
    "RunPodSandbox",
    "CreateContainer",
    "StartContainer",
    "ExecSync",
    "StopContainer",
    "RemoveContainer",
    "StopPodSandbox",
    "RemovePodSandbox",
];
/// The floor's sums that are shown.
const FLOOR: [&str; 5] = ["pod", "container_to_exec", "pod_to_exec", "pod_to_exit", "teardown"];

/// Times of every step of the runtime and of the floor.
#[derive(Default)]
pub struct Lifecycle {
    steps: [Times; 8],
    running: Times,
    total: Times,
    floor: std::collections::BTreeMap<String, Times>,
}

pub async fn measure(pods: &Pods<'_>, mut floor: Floor, arguments: &Arguments) -> Result<Lifecycle> {
    let mut all = Lifecycle::default();
    for i in 0..arguments.iterations + WARM_UP {
        let marks = iterate(pods).await.with_context(|| format!("iteration {i}"))?;
        let sample = floor.iterate()?;
        if i >= WARM_UP {
            all.add(&marks, &sample);
        }
        tokio::time::sleep(Duration::from_millis(arguments.pause)).await;
    }
    Ok(all)
}

/// One pod's life: the moment before the first step and after each.
async fn iterate(pods: &Pods<'_>) -> Result<[Instant; 9]> {
    let config = pods.config()?;
    let mut runtime = pods.target.cri().runtime();
    let mut marks = [Instant::now(); 9];
    let pod_sandbox_id = pods.run(&config).await?;
    marks[1] = Instant::now();
    let container_id = pods.create(&pod_sandbox_id, &config).await?;
    marks[2] = Instant::now();
    pods.start(&container_id).await?;
    marks[3] = Instant::now();
    pods.exec(&container_id).await?;
    marks[4] = Instant::now();
    let stop = StopContainerRequest { container_id: container_id.clone(), timeout: 10 };
    runtime.stop_container(stop).await.context("StopContainer")?;
    marks[5] = Instant::now();
    runtime.remove_container(RemoveContainerRequest { container_id }).await.context("RemoveContainer")?;
    marks[6] = Instant::now();
    let stop = StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() };
    runtime.stop_pod_sandbox(stop).await.context("StopPodSandbox")?;
    marks[7] = Instant::now();
    runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id }).await.context("RemovePodSandbox")?;
    marks[8] = Instant::now();
    Ok(marks)
}

impl Lifecycle {
    fn add(&mut self, marks: &[Instant; 9], floor: &Map<String, Value>) {
        for (times, pair) in self.steps.iter_mut().zip(marks.windows(2)) {
            times.add(pair[1] - pair[0]);
        }
        self.running.add(marks[3] - marks[0]);
        self.total.add(marks[8] - marks[0]);
        for (name, us) in floor {
            self.floor.entry(name.clone()).or_default().add_ms(us.as_f64().unwrap_or(0.0) / 1e3);
        }
    }

    /// How many times the floor the runtime takes from nothing to a running container.
    fn ratio(&self, floor: &str) -> f64 {
        self.running.at(0.5) / self.floor.get(floor).map_or(f64::NAN, |times| times.at(0.5))
    }

    pub fn rows(&self, table: &mut Table) {
        table.head("milliseconds", "p50", "p95");
        for (name, times) in STEPS.iter().zip(&self.steps) {
            table.times(name, times);
        }
        table.times("pod_to_running", &self.running);
        table.times("total", &self.total);
        for name in FLOOR {
            if let Some(times) = self.floor.get(name) {
                table.times(&format!("floor: {name}"), times);
            }
        }
        table.row("pod_to_running / floor pod_to_exec", &format!("{:.2}", self.ratio("pod_to_exec")), "");
        table.row("pod_to_running / floor pod_to_exit", &format!("{:.2}", self.ratio("pod_to_exit")), "");
    }

    pub fn to_json(&self) -> Value {
        let named = STEPS.iter().zip(&self.steps).map(|(name, times)| ((*name).to_owned(), times.to_json()));
        let mut all: Map<String, Value> = named.collect();
        all.insert("pod_to_running".into(), self.running.to_json());
        all.insert("total".into(), self.total.to_json());
        all.insert("ratio_to_floor_exec".into(), self.ratio("pod_to_exec").into());
        all.insert("ratio_to_floor_exit".into(), self.ratio("pod_to_exit").into());
        let floor: Map<String, Value> = self.floor.iter().map(|(name, t)| (name.clone(), t.to_json())).collect();
        all.insert("floor".into(), floor.into());
        Value::Object(all)
    }
}
