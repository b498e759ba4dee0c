// SPDX-License-Identifier: Apache-2.0
//! The states of containers and pods, each in one word. Lists, `inspect` and `info` all use these.

use gorae_proto::cri::{ContainerState, PodSandboxState};

/// A container's state.
pub fn of_container(state: ContainerState) -> &'static str {
    match state {
        ContainerState::ContainerCreated => "created",
        ContainerState::ContainerRunning => "running",
        ContainerState::ContainerExited => "exited",
        ContainerState::ContainerUnknown => "unknown",
    }
}

/// A pod's state: people call the CRI's "not ready" stopped.
pub fn of_pod(state: PodSandboxState) -> &'static str {
    match state {
        PodSandboxState::SandboxReady => "ready",
        PodSandboxState::SandboxNotready => "stopped",
    }
}
