// SPDX-License-Identifier: Apache-2.0
//! Runtime handlers: the names by which the RuntimeClasses of a cluster ask for a way to run pods.

use crate::error::{Error, Result};

/// The built-in handler; the empty name means it too.
pub const NATIVE: &str = "gorae";
/// Longest part of an unknown name that is repeated to its client.
const LONGEST_NAME: usize = 64;

/// The handlers of a node. All of them are the native runtime's today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handlers {
    names: Vec<String>,
}

impl Default for Handlers {
    fn default() -> Self {
        Self::with([])
    }
}

impl Handlers {
    /// The built-in handler and these.
    pub fn with(more: impl IntoIterator<Item = String>) -> Self {
        let more = more.into_iter().filter(|name| name != NATIVE);
        Self { names: [NATIVE.to_owned()].into_iter().chain(more).collect() }
    }

    /// Every name, the built-in one first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Checks the handler of a request.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not configured, with those that are.
    pub fn check(&self, asked: &str) -> Result<()> {
        if asked.is_empty() || self.names.iter().any(|name| name == asked) {
            return Ok(());
        }
        let asked: String = asked.chars().take(LONGEST_NAME).collect();
        let names = self.names.join(", ");
        Err(Error::invalid(format!(
            "runtime handler {asked:?} is not configured on this node, which has {names}; name it in goraed's \
             configuration ([runtimes.NAME], kind = \"native\") if that is to run its pods"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_handler_has_two_names_and_an_unknown_one_is_told_what_there_is() {
        let handlers = Handlers::with(["fast".to_owned(), NATIVE.to_owned()]);
        assert_eq!(handlers.names(), [NATIVE, "fast"]);
        for known in ["", NATIVE, "fast"] {
            handlers.check(known).expect(known);
        }
        let error = handlers.check(&"x".repeat(1000)).expect_err("unknown").to_string();
        assert!(error.contains("gorae, fast") && error.len() < 400, "{error}");
    }
}
