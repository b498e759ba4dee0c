// SPDX-License-Identifier: Apache-2.0
//! Containers for tests.

use super::{Container, Identity, Image, Process, Record, State};
use crate::ids::{ContainerId, PodId};
use gorae_kernel::process::ProcessId;
use gorae_proto::cri;
use std::sync::Arc;

/// A container's state while its process runs.
pub fn running() -> State {
    let process = ProcessId::from_wire(7, 1);
    State::Running { process, started_at: 1, identity: Identity::default() }
}

/// A container in a given state, with a dummy record.
pub fn container(state: State) -> Arc<Container> {
    Container::new(record(), state)
}

/// A dummy record.
pub fn record() -> Record {
    Record {
        id: ContainerId::of_digit('a'),
        pod_id: PodId::of_digit('b'),
        config: cri::ContainerConfig::default(),
        created_at: 1,
        image: Image { id: String::new(), reference: String::new(), name: String::new(), layers: Vec::new() },
        process: Process {
            args: vec!["a".into()],
            env: Vec::new(),
            cwd: "/".into(),
            user: None,
            group: None,
            stop_signal: 15,
            volumes: Vec::new(),
        },
        log_path: None,
        cgroup: "/x".into(),
        image_mounts: Vec::new(),
        first_resources: None,
        cdi: Default::default(),
    }
}
