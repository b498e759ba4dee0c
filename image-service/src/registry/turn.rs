// SPDX-License-Identifier: Apache-2.0
//! A host's turn at a download: how often it may be asked, and what it is known not to support.

use crate::registry::error::{Error, Failure};
use crate::registry::rest::Validator;

/// How often a request for the rest may fail before the whole is asked for: once may be bad luck.
const BAD_LUCK: u32 = 1;

/// A host's turn.
#[derive(Debug)]
pub struct Turn {
    /// Which endpoint.
    pub place: usize,
    /// How often it may be asked.
    pub allowed: u32,
    /// How often it was asked.
    pub attempt: u32,
    /// The host has already been asked for the whole again once without counting it as an attempt.
    pub begun_anew: bool,
    /// The host does not support requests for a part.
    pub no_parts: bool,
    rest_failed: u32,
    /// What it says about the blob's state.
    pub validator: Validator,
}

impl Turn {
    /// Begins.
    pub fn new(place: usize, allowed: u32) -> Self {
        let validator = Validator::default();
        Self { place, allowed, attempt: 0, begun_anew: false, no_parts: false, rest_failed: 0, validator }
    }

    /// Turns the failure of a request for the rest into one that leaves the whole possible: the host may merely not
    /// support such requests.
    pub fn rest_refused(&mut self, failure: Failure) -> Failure {
        let why = match &failure {
            Failure::Unreached { .. } | Failure::Rest { .. } | Failure::Final(Error::Untrusted { .. }) => {
                return failure;
            }
            Failure::Final(error) => error.to_string(),
            Failure::Passing { why, .. } => {
                self.rest_failed += 1;
                if self.rest_failed <= BAD_LUCK && self.attempt + 1 < self.allowed {
                    return failure;
                }
                why.clone()
            }
        };
        Failure::Rest { why, no_parts: true }
    }
}
