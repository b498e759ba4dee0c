// SPDX-License-Identifier: Apache-2.0
//! The `info` of a verbose status, which looks at the host.

use super::order::facts::Facts;
use super::{Container, Record, State, order};
use crate::disposable::PlainData;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::objects::Objects;
use crate::pod::Pod;
use crate::settings::MissingHostPath;
use gorae_order::{oci, process};
use gorae_proto::cri;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The sources of a verbose status's `info`. It includes a runtime spec, which shows devices and profiles of the host.
#[derive(Debug)]
pub struct Verbose {
    record: Arc<Record>,
    state: State,
    upper: PathBuf,
    /// The other sources of the runtime spec, or the reason why it can no longer be built.
    spec: Result<(Arc<Pod>, Facts)>,
}

/// Text, numbers and paths; the pod has no descriptor.
impl PlainData for Verbose {}

impl Verbose {
    /// Collects what is known about a container.
    pub fn of(machine: &Machine, objects: &Objects, missing_host_path: MissingHostPath, container: &Container) -> Self {
        let record = container.record();
        let pod = objects.pods.get(&record.pod_id).ok_or_else(|| Error::not_found("the container's pod is gone"));
        Self {
            spec: pod.and_then(|pod| Ok((pod, Facts::of(machine, objects, missing_host_path, &record)?))),
            state: container.state(),
            upper: machine.places.container_root(&record.id).join("upper"),
            record,
        }
    }

    /// The JSON under `info`.
    ///
    /// - Blocks: on paths that are not ours.
    ///
    /// # Errors
    /// None: a value that cannot be shown is `null`, with the reason beside it.
    pub fn info(self) -> Result<HashMap<String, String>> {
        let Self { record, state, upper, spec } = self;
        let pid = match &state {
            State::Running { process, .. } => process.map_or(0, |process| process.pid()),
            _ => 0,
        };
        let mut info = serde_json::json!({
            "sandboxID": record.pod_id,
            "pid": pid,
            "state": state.word(),
            "snapshotter": "overlayfs",
            "layers": record.image.layers,
            "upper": upper,
            "cgroup": record.cgroup,
            "config": config(&record.config),
            "runtimeSpec": null,
        });
        match spec.and_then(|(pod, facts)| runtime_spec(&record, &state, &pod, &facts)) {
            Ok(spec) => info["runtimeSpec"] = spec,
            Err(why) => info["runtimeSpecError"] = why.to_string().into(),
        }
        Ok([("info".to_owned(), info.to_string())].into())
    }
}

/// The container as an OCI runtime spec.
///
/// # Errors
/// The reason why its order can no longer be built: for example, a target container that is gone.
fn runtime_spec(record: &Record, state: &State, pod: &Pod, facts: &Facts) -> Result<serde_json::Value> {
    let identity = match state {
        State::Running { identity, .. } => Some(identity),
        State::Exited(exit) => exit.identity.as_ref(),
        State::Created | State::Starting => None,
    };
    let identity = identity.map(|known| process::Identity { uid: known.uid, gid: known.gid, gids: &known.gids });
    oci::config(&order::build(record, pod, facts)?, identity).map_err(|e| Error::internal(e.to_string()))
}

/// The request as JSON. Values of variables are text, as in the CRI's own JSON; bytes that are not UTF-8 are marked.
fn config(asked: &cri::ContainerConfig) -> serde_json::Value {
    let text = |e: &cri::KeyValue| serde_json::json!({"key": e.key, "value": String::from_utf8_lossy(&e.value)});
    let envs: Vec<_> = asked.envs.iter().map(text).collect();
    let mut value = serde_json::json!(cri::ContainerConfig { envs: Vec::new(), ..asked.clone() });
    value["envs"] = envs.into();
    value
}
