// SPDX-License-Identifier: Apache-2.0
//! One plugin of a network configuration.

use super::invalid::Invalid;
use crate::name::is_plugin_type;
use serde_json::{Map, Value};

/// A plugin: the JSON object of the configuration, with a type that is the name of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    object: Map<String, Value>,
}

impl Plugin {
    /// Checks the object.
    ///
    /// # Errors
    /// [`Invalid`]: it has no type, or one that cannot be the name of a program.
    pub fn new(object: Value) -> Result<Self, Invalid> {
        let Value::Object(object) = object else { return Err(Invalid::new("a plugin is not a JSON object")) };
        match object.get("type") {
            Some(Value::String(kind)) if is_plugin_type(kind) => Ok(Self { object }),
            Some(Value::String(kind)) => Err(Invalid::new(format!("{kind:?} cannot be the type of a plugin"))),
            _ => Err(Invalid::new("a plugin has no type")),
        }
    }

    /// Its type, which is the name of its program.
    pub fn kind(&self) -> &str {
        self.object.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it asks for the values of this capability.
    pub fn wants(&self, capability: &str) -> bool {
        self.object.get("capabilities").and_then(|all| all.get(capability)) == Some(&Value::Bool(true))
    }

    /// The object as configured.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }
}
