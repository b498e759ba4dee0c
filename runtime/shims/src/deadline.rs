// SPDX-License-Identifier: Apache-2.0
//! How long a shim may take.

use std::time::Duration;

/// For a verb that touches the kernel only.
pub const VERB_DEADLINE: Duration = Duration::from_secs(20);
/// For setting up a pod or a container, which touches mounts and sources that are not ours.
pub const SETUP_DEADLINE: Duration = Duration::from_secs(110);
