// SPDX-License-Identifier: Apache-2.0
//! Why a configuration cannot be used.

use std::fmt;

/// Why a configuration cannot be used: a sentence without its file. It never quotes values, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
