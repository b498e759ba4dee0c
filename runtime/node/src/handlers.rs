// SPDX-License-Identifier: Apache-2.0
//! The names of this node's runtime handlers. A RuntimeClass names one, and RunPodSandbox requests it.

use crate::error::{Error, Result};

/// The handler that always exists; an empty name in a request means this one.
const BUILT_IN: &str = "gorae";
/// Longest part of an unknown name that an error shows, in characters.
const LONGEST_SHOWN: usize = 64;

/// The handlers of a node, the built-in one first. All of them mean the native runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handlers(Vec<String>);

impl Handlers {
    /// Takes the built-in handler and these; duplicate names count once.
    pub fn new(more: impl IntoIterator<Item = String>) -> Self {
        let mut names = vec![BUILT_IN.to_owned()];
        for name in more {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self(names)
    }

    /// The names, without the empty one.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names as Status lists them: the empty one first, because it can be requested as well.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        [""].into_iter().chain(self.0.iter().map(String::as_str))
    }

    /// Checks the handler of a request.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not configured, with the names that are.
    pub fn check(&self, handler: &str) -> Result<()> {
        if handler.is_empty() || self.0.iter().any(|name| name == handler) {
            return Ok(());
        }
        let asked: String = handler.chars().take(LONGEST_SHOWN).collect();
        let names = self.0.join(", ");
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
    fn the_built_in_handler_comes_first_and_no_name_twice() {
        let handlers = Handlers::new(["crun", "gorae", "runc", "crun"].map(str::to_owned));
        assert_eq!(handlers.names(), ["gorae", "crun", "runc"]);
        assert!(handlers.listed().eq(["", "gorae", "crun", "runc"]));
    }

    #[test]
    fn a_handler_that_is_not_configured_is_refused_with_those_that_are() {
        let handlers = Handlers::new(["runc".to_owned()]);
        for known in ["", "gorae", "runc"] {
            handlers.check(known).expect(known);
        }
        let error = handlers.check(&"kata".repeat(100)).expect_err("unknown").to_string();
        assert!(error.contains("kata") && error.contains("gorae, runc") && error.len() < 400, "{error}");
    }
}
