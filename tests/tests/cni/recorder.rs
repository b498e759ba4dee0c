// SPDX-License-Identifier: Apache-2.0
//! The tests' own plugin, and what it has written down.

use gorae_tests::{Cni, place};
use serde_json::{Value, json};
use std::path::Path;

/// Where it writes; it goes with the plugins.
pub const DIRECTORY: &str = "/opt/cni/record";

/// What a plugin was given for a verb.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// `CNI_*` variables, sorted.
    pub variables: Vec<String>,
    /// Its standard input.
    pub input: Value,
}

/// Installs the plugin as one of this type, and returns its object, to be changed.
pub fn recorder(cni: &Cni, kind: &str) -> Value {
    cni.install_as(&place::binary("gorae-test-plugin"), kind);
    std::fs::create_dir_all(DIRECTORY).unwrap();
    json!({"type": kind, "record": DIRECTORY})
}

/// What the plugin of a type was given last for a verb; panics when it was never called for it.
pub fn recorded(kind: &str, verb: &str) -> Call {
    let read = |what: &str| {
        let path = Path::new(DIRECTORY).join(format!("{kind}.{verb}.{what}"));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let variables = read("env").lines().map(str::to_owned).collect();
    Call { variables, input: serde_json::from_str(&read("stdin")).unwrap() }
}

/// All calls in their order, `TYPE VERB` each, without those of STATUS, which come every few seconds.
pub fn order() -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(DIRECTORY).join("order")).unwrap_or_default();
    text.lines().filter(|call| !call.ends_with(" STATUS")).map(str::to_owned).collect()
}
