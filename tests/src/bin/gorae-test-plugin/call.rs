// SPDX-License-Identifier: Apache-2.0
//! One call of the plugin: what it is given, and its answer.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::Path;

/// What the plugin was given.
pub struct Call {
    pub verb: String,
    pub container: String,
    pub bytes: Vec<u8>,
    pub config: Value,
}

impl Call {
    /// Reads the call of this process.
    pub fn read() -> Call {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).expect("the input can be read");
        let config = serde_json::from_slice(&bytes).expect("the input is JSON");
        Call { verb: variable("CNI_COMMAND"), container: variable("CNI_CONTAINERID"), bytes, config }
    }

    /// The path that the configuration has under a key.
    pub fn path(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Value::as_str)
    }

    /// Whether the file exists that a key names for this verb.
    pub fn exists(&self, key: &str) -> bool {
        self.config[key][&self.verb].as_str().is_some_and(|path| Path::new(path).exists())
    }
}

/// Prints an error of the specification, and ends.
pub fn fail(message: &str) -> ! {
    print(&json!({"cniVersion": "1.0.0", "code": 999, "msg": message}).to_string());
    std::process::exit(1);
}

/// Prints the answer, or what is to pass for one.
pub fn print(text: &str) {
    // Whoever started it may be gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
