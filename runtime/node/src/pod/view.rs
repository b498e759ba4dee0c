// SPDX-License-Identifier: Apache-2.0
//! A pod as the CRI's list and status show it, from memory only.

use super::{Pod, State};
use gorae_proto::cri;

/// The pod's entry in ListPodSandbox.
pub fn entry(pod: &Pod) -> cri::PodSandbox {
    let record = &pod.record;
    cri::PodSandbox {
        id: record.id.to_string(),
        metadata: record.config.metadata.clone(),
        state: state_of(pod).into(),
        created_at: record.created_at,
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.runtime_handler.clone(),
    }
}

/// The pod's PodSandboxStatus. Its addresses stay the same as long as it is ready; a stopped pod has none.
pub fn status(pod: &Pod) -> cri::PodSandboxStatus {
    let record = &pod.record;
    let addresses = match pod.state() {
        State::Ready(up) => up.addresses,
        State::NotReady => Vec::new(),
    };
    let mut ips = addresses.iter();
    cri::PodSandboxStatus {
        id: record.id.to_string(),
        metadata: record.config.metadata.clone(),
        state: state_of(pod).into(),
        created_at: record.created_at,
        network: Some(cri::PodSandboxNetworkStatus {
            ip: ips.next().map(ToString::to_string).unwrap_or_default(),
            additional_ips: ips.map(|ip| cri::PodIp { ip: ip.to_string() }).collect(),
        }),
        linux: Some(cri::LinuxPodSandboxStatus {
            namespaces: Some(cri::Namespace { options: Some(pod.namespaces()) }),
        }),
        labels: record.config.labels.clone(),
        annotations: record.config.annotations.clone(),
        runtime_handler: record.runtime_handler.clone(),
    }
}

fn state_of(pod: &Pod) -> cri::PodSandboxState {
    if pod.is_ready() { cri::PodSandboxState::SandboxReady } else { cri::PodSandboxState::SandboxNotready }
}

/// Whether the pod passes the filter.
pub fn matches(pod: &Pod, filter: &cri::PodSandboxFilter) -> bool {
    pod.id().starts_with(&filter.id)
        && filter.state.as_ref().is_none_or(|s| s.state == i32::from(state_of(pod)))
        && filter.label_selector.iter().all(|(k, v)| pod.record.config.labels.get(k) == Some(v))
}
