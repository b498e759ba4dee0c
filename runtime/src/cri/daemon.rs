// SPDX-License-Identifier: Apache-2.0
//! What a client asks of the daemon itself: its version, its configuration, and methods that it lacks.

use gorae_node::error::Result;
use gorae_node::networks::Networks;
use gorae_proto::cri;
use tonic::Status;

/// The prefix of container ids in pod statuses; it must never change.
const RUNTIME_NAME: &str = "gorae";

pub(super) fn version() -> cri::VersionResponse {
    cri::VersionResponse {
        version: "0.1.0".into(),
        runtime_name: RUNTIME_NAME.into(),
        runtime_version: env!("CARGO_PKG_VERSION").into(),
        runtime_api_version: "v1".into(),
    }
}

pub(super) fn config() -> cri::RuntimeConfigResponse {
    let linux = cri::LinuxRuntimeConfiguration { cgroup_driver: cri::CgroupDriver::Cgroupfs.into() };
    cri::RuntimeConfigResponse { linux: Some(linux) }
}

/// Gives kubelet's pod CIDR to the built-in network, which adopts it if it is new and may be adopted.
pub(super) async fn update_config(
    networks: &Networks,
    request: cri::UpdateRuntimeConfigRequest,
) -> Result<cri::UpdateRuntimeConfigResponse> {
    let config = request.runtime_config.and_then(|config| config.network_config);
    let cidr = config.map(|config| config.pod_cidr).unwrap_or_default();
    if !cidr.is_empty() {
        networks.set_pod_cidr(&cidr).await?;
    }
    Ok(cri::UpdateRuntimeConfigResponse {})
}

/// The text is gRPC's own for a method that a server lacks. Clients match on it, among them the Kubernetes test suite,
/// which then skips what needs the method.
pub(super) fn unimplemented<T>(what: &str) -> std::result::Result<T, Status> {
    Err(Status::unimplemented(format!("method {what} not implemented")))
}
