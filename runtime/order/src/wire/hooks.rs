// SPDX-License-Identifier: Apache-2.0
//! The hooks, the OCI state that they get, and the bundle that the state names.

use crate::hooks::{Hook, bundle};
use crate::oci;
use gorae_proto::shim;
use std::collections::HashMap;

/// Writes the hooks of a container and what is needed to run them; `config` is the bundle's config.json, empty for hooks
/// that run after the end.
pub fn hooks(
    id: &str,
    annotations: &HashMap<String, String>,
    run_dir: &str,
    hooks: &[Hook<'_>],
    config: Vec<u8>,
) -> shim::Hooks {
    let mut state = oci::state(id, run_dir, annotations).to_string();
    state.pop(); // The brace: status and pid follow.
    let one = |hook: &Hook<'_>| shim::Hook {
        name: hook.point.name().into(),
        path: hook.path.into(),
        args: hook.args.to_vec(),
        env: hook.env.to_vec(),
        timeout_ms: hook.timeout.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)),
    };
    shim::Hooks { hooks: hooks.iter().map(one).collect(), state, bundle: bundle(run_dir), config }
}
