// SPDX-License-Identifier: Apache-2.0
//! A container as the CRI's list and status show it. Both need only memory; the `info` of a verbose status looks at the
//! host.

use super::order::facts::Facts;
use super::{Container, Identity, Record, State, order, signal};
use crate::disposable::PlainData;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::pod::Pod;
use gorae_order::{oci, process};
use gorae_proto::cri;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The container's entry in ListContainers.
pub fn entry(container: &Container) -> cri::Container {
    let record = container.record();
    cri::Container {
        id: record.id.to_string(),
        pod_sandbox_id: record.pod_id.to_string(),
        metadata: record.config.metadata.clone(),
        image: Some(image(&record)),
        image_ref: record.image.reference.clone(),
        state: state_of(&container.state()).into(),
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        image_id: record.image.id.clone(),
    }
}

/// The container's ContainerStatus.
pub fn status(container: &Container) -> cri::ContainerStatus {
    let (record, state) = (container.record(), container.state());
    let mut status = cri::ContainerStatus {
        id: record.id.to_string(),
        metadata: record.config.metadata.clone(),
        state: state_of(&state).into(),
        created_at: record.created_at,
        image: Some(image(&record)),
        image_ref: record.image.reference.clone(),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        mounts: mounts(&record),
        log_path: record.log_path.clone().unwrap_or_default(),
        resources: Some(resources(&record)),
        image_id: record.image.id.clone(),
        stop_signal: signal::to_cri(record.process.stop_signal).into(),
        ..Default::default()
    };
    match state {
        State::Created | State::Starting => {}
        State::Running { started_at, identity, .. } => {
            status.started_at = started_at;
            status.user = Some(user(&identity));
        }
        State::Exited(exit) => {
            status.started_at = exit.started_at.unwrap_or_default();
            status.finished_at = exit.finished_at;
            status.exit_code = exit.code;
            status.reason = exit.reason.word().to_owned();
            status.message = exit.message;
            status.user = exit.identity.as_ref().map(user);
        }
    }
    status
}

/// What the `info` of a verbose status is made of. It includes a runtime spec, which shows devices and profiles of the
/// host.
#[derive(Debug)]
pub struct Verbose {
    record: Arc<Record>,
    state: State,
    upper: PathBuf,
    /// What else a runtime spec is built from; why it can no longer be built.
    spec: Result<(Arc<Pod>, Facts)>,
}

/// Text, numbers and paths; the pod has no descriptor.
impl PlainData for Verbose {}

impl Verbose {
    /// What is known about a container.
    pub fn of(node: &Node, container: &Container) -> Self {
        let record = container.record();
        let pod = node.objects.pods.get(&record.pod_id).ok_or_else(|| Error::not_found("the container's pod is gone"));
        Self {
            spec: pod.and_then(|pod| Ok((pod.clone(), node.facts(&pod, &record)?))),
            state: container.state(),
            upper: node.machine.places.container_root(&record.id).join("upper"),
            record,
        }
    }

    /// The JSON under `info`.
    ///
    /// - Blocks: on paths that are not ours.
    ///
    /// # Errors
    /// None: what cannot be shown is `null`, with the reason beside it.
    pub fn info(self) -> Result<HashMap<String, String>> {
        let Self { record, state, upper, spec } = self;
        let pid = match &state {
            State::Running { process, .. } => process.pid,
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
/// Why its order cannot be built any more: a target container that is gone, say.
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

fn state_of(state: &State) -> cri::ContainerState {
    match state {
        State::Created | State::Starting => cri::ContainerState::ContainerCreated,
        State::Running { .. } => cri::ContainerState::ContainerRunning,
        State::Exited(_) => cri::ContainerState::ContainerExited,
    }
}

fn image(record: &Record) -> cri::ImageSpec {
    let asked = record.config.image.clone().unwrap_or_default();
    cri::ImageSpec { image: record.image.name.clone(), ..asked }
}

fn mounts(record: &Record) -> Vec<cri::Mount> {
    let mut mounts = record.config.mounts.clone();
    for volume in &record.image_mounts {
        if let Some(image) = mounts.get_mut(volume.index).and_then(|m| m.image.as_mut()) {
            image.image_ref.clone_from(&volume.id);
        }
    }
    mounts
}

fn resources(record: &Record) -> cri::ContainerResources {
    let linux = record.config.linux.as_ref().and_then(|l| l.resources.clone()).unwrap_or_default();
    cri::ContainerResources { linux: Some(linux), windows: None }
}

fn user(identity: &Identity) -> cri::ContainerUser {
    cri::ContainerUser {
        linux: Some(cri::LinuxContainerUser {
            uid: i64::from(identity.uid),
            gid: i64::from(identity.gid),
            supplemental_groups: identity.gids.iter().map(|&g| i64::from(g)).collect(),
        }),
    }
}

/// Whether the container passes the filter.
pub fn matches(container: &Container, filter: &cri::ContainerFilter) -> bool {
    let record = container.record();
    let state = state_of(&container.state());
    record.id.starts_with(&filter.id)
        && record.pod_id.starts_with(&filter.pod_sandbox_id)
        && filter.state.as_ref().is_none_or(|s| s.state == i32::from(state))
        && filter.label_selector.iter().all(|(k, v)| record.config.labels.get(k) == Some(v))
}
