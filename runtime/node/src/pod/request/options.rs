// SPDX-License-Identifier: Apache-2.0
//! The namespace options of a RunPodSandbox request.

use gorae_proto::cri::{self, NamespaceMode};

/// The request's namespace options; the message's zero values if they are not set.
pub fn namespaces(config: &cri::PodSandboxConfig) -> cri::NamespaceOption {
    config
        .linux
        .as_ref()
        .and_then(|l| l.security_context.as_ref())
        .and_then(|s| s.namespace_options.clone())
        .unwrap_or_default()
}

/// Whether the pod has its own host name: with its own network, and on the node's network if the request has a name.
pub fn own_uts(config: &cri::PodSandboxConfig) -> bool {
    namespaces(config).network() != NamespaceMode::Node || !config.hostname.is_empty()
}

/// Whether the pod may have privileged containers.
pub fn privileged(config: &cri::PodSandboxConfig) -> bool {
    config.linux.as_ref().and_then(|l| l.security_context.as_ref()).is_some_and(|s| s.privileged)
}
