// SPDX-License-Identifier: Apache-2.0
//! Time limits for a shim's reply.

use std::time::Duration;

/// For a reply that needs no work. After that the shim counts as hung.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// For a verb that touches only the kernel.
pub const VERB_DEADLINE: Duration = Duration::from_secs(20);
/// For setting up a pod or a container, which touches mounts and sources that are not ours.
pub const SETUP_DEADLINE: Duration = Duration::from_secs(110);
