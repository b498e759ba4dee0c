// SPDX-License-Identifier: Apache-2.0
//! What the program takes from its surroundings, read once by `main`.

use std::collections::HashMap;
use std::path::PathBuf;

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_HOST: &str = "unix:///run/gorae/gorae.sock";

/// The surroundings at start.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// Where the command was typed; `/` when that directory is gone.
    pub directory: PathBuf,
}

impl Environment {
    /// Reads them. Variables that are not UTF-8 are left out: the CRI cannot carry their names.
    pub fn read() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
        Self { variables: variables.collect(), directory }
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
