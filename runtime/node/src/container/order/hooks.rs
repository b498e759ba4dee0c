// SPDX-License-Identifier: Apache-2.0
//! The hooks of a container, which only CDI devices bring, in the shim's message.

use super::oci;
use crate::container::Record;
use gorae_proto::shim;

/// The version of the OCI runtime specification whose state hooks read.
const OCI_VERSION: &str = "1.2.1";

/// All hooks with what the shim needs to run them; `None` when there are none.
pub fn build(record: &Record, order: &shim::Start) -> Option<shim::Hooks> {
    if record.cdi.hooks.is_empty() {
        return None;
    }
    let bundle = format!("{}/bundle", order.run_dir);
    let state = serde_json::json!({
        "ociVersion": OCI_VERSION,
        "id": record.id,
        "bundle": bundle,
        "annotations": record.config.annotations,
    });
    let mut state = state.to_string();
    state.pop(); // The brace: status and pid follow.
    let config = oci::spec(record, order).and_then(|spec| serde_json::to_vec(&spec).ok()).unwrap_or_default();
    let hooks = record.cdi.hooks.iter().map(|hook| shim::Hook {
        name: hook.hook_name.clone(),
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        timeout_ms: hook.timeout.unwrap_or(0).saturating_mul(1000),
    });
    Some(shim::Hooks { hooks: hooks.collect(), state, bundle, config })
}

/// Those that a clean-up after a lost shim has to run.
pub fn after_the_end(record: &Record, run_dir: &str) -> Option<shim::Hooks> {
    let order = shim::Start { run_dir: run_dir.to_owned(), ..Default::default() };
    build(record, &order).filter(|_| record.cdi.has_hook("poststop"))
}
