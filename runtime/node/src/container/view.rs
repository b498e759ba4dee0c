// SPDX-License-Identifier: Apache-2.0
//! A container as the CRI's list and status show it, from memory only.

use super::{Container, Identity, Record, State, signal};
use gorae_proto::cri;

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
