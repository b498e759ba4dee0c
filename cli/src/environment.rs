// SPDX-License-Identifier: Apache-2.0
//! The program's environment, read once by `main`: its variables and its working directory.

use std::collections::HashMap;
use std::path::PathBuf;

/// Where the daemon listens by default.
pub const DEFAULT_HOST: &str = "unix:///run/gorae/gorae.sock";

/// The environment at the start of the program.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// The working directory; `/` when it is gone.
    pub directory: PathBuf,
}

impl Environment {
    /// Reads the environment. Variables that are not UTF-8 are left out: the CRI cannot carry their names.
    pub fn read() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
        Self { variables: variables.collect(), directory }
    }

    /// The value of a variable; `None` when it is not set.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
