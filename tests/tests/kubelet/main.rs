// SPDX-License-Identifier: Apache-2.0
//! A real kubelet v1.36.1, without an API server, on a node of ours: what its users see.

mod endings;
mod order;
mod readiness;
mod removal;
mod restarts;
mod streams;
mod usage;
mod volumes;

use gorae_tests::{BUSYBOX, TINY};
use serde_json::{Value, json};

/// A pod of these containers that has a second to end.
fn pod(containers: Value) -> Value {
    json!({"containers": containers, "terminationGracePeriodSeconds": 1})
}

/// A container that runs a script, and ends at SIGTERM as soon as the script lets it.
fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": BUSYBOX, "command": ["sh", "-c", script]})
}

/// A container of the smallest image.
fn tiny(name: &str, words: &[&str]) -> Value {
    json!({"name": name, "image": TINY, "args": words})
}

/// One value with the members of another added.
fn with(mut value: Value, more: Value) -> Value {
    let members = value.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    value
}
