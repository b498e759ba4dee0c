// SPDX-License-Identifier: Apache-2.0
//! The security context of a request.

use gorae_proto::cri::{ContainerConfig, LinuxContainerSecurityContext};
use std::sync::LazyLock;

/// The security context of a request. If it is not set, the CRI means the message's zero values.
pub fn context(config: &ContainerConfig) -> &LinuxContainerSecurityContext {
    static NOTHING_SAID: LazyLock<LinuxContainerSecurityContext> = LazyLock::new(Default::default);
    config.linux.as_ref().and_then(|linux| linux.security_context.as_ref()).unwrap_or(&NOTHING_SAID)
}
